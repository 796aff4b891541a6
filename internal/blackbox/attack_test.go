package blackbox_test

import (
	"fmt"
	"testing"
)

// catalogue are the numbers of the attacks that concern FAPI 1; the other ones are
// about DPoP, CIBA, dynamic registration, grant management and logout.
func catalogue() []int {
	return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
		31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 58, 59, 60, 62, 63, 64, 66, 67,
		70, 71, 72, 73, 74, 75, 78, 81, 82, 83, 84, 85, 86, 87}
}

func attackRow(n int) string { return fmt.Sprintf("attack %02d", n) }

// Plans that attacks go through; the clients of attacks authenticate with
// private_key_jwt and may ask for every kind of answer.
var (
	viaValue = plan{}
	viaPush  = plan{pushed: true}
	viaJARM  = plan{jarm: true}
	bothWays = []plan{viaValue, viaPush}
)

// assault is one attack with two clients of its own.
type assault struct{ mallory, victim *party }

// attack begins a test of the catalogue: must says what the attacker observes.
func attack(t *testing.T, n int, must string) assault {
	t.Helper()
	findings.watch(t, attackRow(n), must, "")
	return assault{mallory: who(t, fmt.Sprintf("a%d-mallory", n)), victim: who(t, fmt.Sprintf("a%d-victim", n))}
}

package pgtest_test

import (
	"testing"

	"github.com/procura/procura/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Each test has a database of its own with the schema that the code serves.
func TestNew(t *testing.T) {
	for range 3 {
		if err := pgtest.New(t).Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

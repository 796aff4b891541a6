package web_test

import (
	"testing"

	"github.com/procura/procura/web"
)

func TestCanonicalHost(t *testing.T) {
	for in, want := range map[string]string{
		"as.bank.example":       "as.bank.example",
		"AS.Bank.Example":       "as.bank.example",
		"as.bank.example:443":   "as.bank.example",
		"as.bank.example:9443":  "as.bank.example:9443",
		"localhost:9443":        "localhost:9443",
		"127.0.0.1:9443":        "127.0.0.1:9443",
		"[::1]":                 "[::1]",
		"[::1]:9443":            "[::1]:9443",
		"[0:0:0:0:0:0:0:1]:443": "[::1]",
		"":                      "",
		".":                     "",
		"a..b":                  "",
		"as.bank.example.":      "",
		"as.bank.example:":      "",
		"as.bank.example:0":     "",
		"as.bank.example:00443": "",
		"as.bank.example:65536": "",
		"as.bank.example:+443":  "",
		"u@as.bank.example":     "",
		"bänk.example":          "",
		"a b":                   "",
		"a/b":                   "",
		"a%2eb":                 "",
		"[::1":                  "",
		"::1":                   "",
		"[127.0.0.1]":           "",
		"[fe80::1%eth0]":        "",
	} {
		got, ok := web.CanonicalHost(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

// FuzzCanonicalHost: the form is stable, and nothing passes that could stand for
// more than a host and a port.
func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"as.bank.example:9443", "[::1]:1", "a@b", "A.b.", "x:0443", "[::ffff:1.2.3.4]:2", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := web.CanonicalHost(s)
		if !ok {
			if got != "" {
				t.Errorf("%q: refused with %q", s, got)
			}
			return
		}
		if again, ok := web.CanonicalHost(got); !ok || again != got {
			t.Errorf("%q: %q is not stable: %q", s, got, again)
		}
		for _, c := range got {
			if c <= ' ' || c > '~' || c == '/' || c == '@' || c == '%' || c == '#' || c >= 'A' && c <= 'Z' {
				t.Errorf("%q: %q holds %q", s, got, c)
			}
		}
	})
}

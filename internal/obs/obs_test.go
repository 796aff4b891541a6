package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

// secrets are shapes of what must not be in any line (attack 87).
var secrets = map[string]string{
	"compact JWS":       "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
	"header alone":      "eyJhbGciOiJFUzI1NiJ9",
	"JWE":               "eyJlbmMiOiJBMjU2R0NNIn0.AAAA.BBBB.CCCC.DDDD",
	"code of 32 bytes":  "q2xVb5sTn8Kf0ZrWm1uHc7yEoJd4LgPa9iXtRvNkSw0",
	"code of 24 bytes":  "q2xVb5sTn8Kf0ZrWm1uHc7yEoJd4LgPa",
	"standard base64":   "q2xVb5sTn8Kf0ZrWm1uHc7yEoJd4LgPa9iXtRv+kSw0=",
	"card number":       "4111111111111111",
	"request_uri":       "urn:ietf:params:oauth:request_uri:q2xVb5sTn8Kf0ZrWm1uHc7yEoJd4LgPa9iXtRvNkSw0",
	"more than a value": strings.Repeat("word ", 60),
}

func logger(t *testing.T, level string) (*obs.Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	l, err := obs.NewLogger(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	return l, &out
}

func TestNoSecretIsWritten(t *testing.T) {
	for name, secret := range secrets {
		t.Run(name, func(t *testing.T) {
			l, out := logger(t, "debug")
			ctx, e := obs.Begin(context.Background(), "id")
			e.Set("value", secret)
			e.Set("in_words", "before "+secret+" after")
			obs.From(ctx).Fail("invalid_grant", fmt.Errorf("redeeming: %w", errors.New(secret)))
			l.Emit(e)
			l.Info("plain", "value", secret, "words", "x="+secret, "secret", fapi.Secret(secret), "err", errors.New(secret))
			l.Error("message "+secret, "odd")
			if name == "more than a value" {
				if strings.Count(out.String(), secret) > 3 { // messages and causes are cut later than values
					t.Errorf("a long value was written: %s", out)
				}
				return
			}
			core := secret[strings.LastIndexByte(secret, ':')+1:]
			if strings.Contains(out.String(), core) {
				t.Errorf("written: %s", out)
			}
			if !strings.Contains(out.String(), "[redacted]") {
				t.Errorf("nothing says that something was left out: %s", out)
			}
		})
	}
}

func TestOrdinaryValuesStay(t *testing.T) {
	for _, v := range []string{
		"9d7f0c59-6d7f-4a26-9a51-1f1f8d6b3a10",
		"/open-banking/{version}/aisp/account-access-consents",
		"urn:openbanking:psd2:sca",
		"4WkLqYZbdYnrbzZmAYEk9x", // client id of the UK directory
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"https://auth.bank.example/brand-one/.well-known/openid-configuration",
		"2027-02-20T12:00:00Z",
		"1763942400000",
	} {
		l, out := logger(t, "info")
		_, e := obs.Begin(context.Background(), "id")
		e.Set("value", v)
		l.Emit(e)
		if line := decode(t, out)["value"]; line != v {
			t.Errorf("%q became %v", v, line)
		}
	}
}

func TestEventIsOneLineWithItsFields(t *testing.T) {
	l, out := logger(t, "info")
	ctx, e := obs.Begin(context.Background(), "r-1")
	obs.From(ctx).Set("client_id", "first")
	obs.From(ctx).Set("client_id", "tpp-1")
	obs.From(ctx).Fail("invalid_client", errors.New("no key fits"))
	l.Emit(e)
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines: %s", n, out)
	}
	line := decode(t, out)
	for key, want := range map[string]string{"request_id": "r-1", "client_id": "tpp-1", "error": "invalid_client",
		"cause": "no key fits", "level": "info", "message": "request"} {
		if line[key] != want {
			t.Errorf("%s = %v, want %s", key, line[key], want)
		}
	}
}

func TestOwnFaultsAreErrors(t *testing.T) {
	for code, level := range map[string]string{"server_error": "error", "temporarily_unavailable": "error", "invalid_request": "info"} {
		l, out := logger(t, "info")
		_, e := obs.Begin(context.Background(), "r-1")
		e.Fail(code, nil)
		l.Emit(e)
		if got := decode(t, out)["level"]; got != level {
			t.Errorf("%s is logged at %v, want %s", code, got, level)
		}
	}
}

func TestLinesCannotBeForged(t *testing.T) {
	l, out := logger(t, "info")
	_, e := obs.Begin(context.Background(), "r-1")
	e.Set("client_id", "a\"}\n{\"level\":\"error\"")
	l.Emit(e)
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, out)
	}
}

func TestOutsideOfARequestNothingIsWritten(t *testing.T) {
	obs.From(context.Background()).Set("key", "value")
	obs.From(context.Background()).Fail("server_error", errors.New("x"))
}

func TestEventIsSafeForConcurrentUse(t *testing.T) {
	l, out := logger(t, "info")
	_, e := obs.Begin(context.Background(), "r-1")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { e.Set(fmt.Sprint("k", i), "v"); l.Emit(e) })
	}
	wg.Wait()
	if n := strings.Count(out.String(), "\n"); n != 16 {
		t.Errorf("%d lines", n)
	}
}

func TestLevels(t *testing.T) {
	if _, err := obs.NewLogger(&bytes.Buffer{}, "verbose"); err == nil {
		t.Error("an unknown level was accepted")
	}
	if _, err := obs.NewLogger(nil, "info"); err == nil {
		t.Error("no writer was accepted")
	}
	l, out := logger(t, "error")
	l.Debug("a")
	l.Info("b")
	l.Warn("c")
	if out.Len() != 0 {
		t.Errorf("below the level: %s", out)
	}
	l.Error("d", "n", 1, "big", int64(2), "yes", true)
	if line := decode(t, out); line["n"] != 1.0 || line["big"] != 2.0 || line["yes"] != true {
		t.Errorf("values lost their type: %v", line)
	}
}

// FuzzScrub: whatever surrounds it, a token does not get through.
func FuzzScrub(f *testing.F) {
	f.Add("", "")
	f.Add("token=", "&x=1")
	f.Add("eyJ", ".")
	f.Add("\xff\x00", "\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		const token = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJhIn0.c2lnbmF0dXJl"
		var out bytes.Buffer
		l, err := obs.NewLogger(&out, "info")
		if err != nil {
			t.Fatal(err)
		}
		l.Error(before+token+after, "k", before+token+after, "e", errors.New(before+token+after))
		if strings.Contains(out.String(), token) {
			t.Errorf("written: %q", out.String())
		}
	})
}

func decode(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return line
}

package fapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// A secret does not leave by any verb, nor inside of a struct, nor as JSON.
func TestSecretsAreNotPrinted(t *testing.T) {
	const value = "very-secret-value"
	s := fapi.Secret(value)
	type holder struct{ Code fapi.Secret }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, holder{s}, []fapi.Secret{s}} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, value) || strings.Contains(out, fmt.Sprintf("%x", value)) {
				t.Errorf("%s of %T prints %s", verb, v, out)
			}
		}
	}
	if raw, err := json.Marshal(holder{s}); err == nil {
		t.Errorf("marshalled: %s", raw)
	}
	if s.Reveal() != value {
		t.Error("Reveal must give the value")
	}
}

// What no room has named is server_error without a word of its cause.
func TestOutward(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{fapi.InvalidGrant("x").Because(errors.New("cause")), "invalid_grant", 400},
		{fmt.Errorf("doing: %w", fapi.InvalidClient("x")), "invalid_client", 401},
		{fmt.Errorf("asking: %w", fapi.ErrUnavailable), "temporarily_unavailable", 503},
		{errors.New("cause"), "server_error", 500},
		{fapi.ErrSpent, "server_error", 500},
	} {
		e := fapi.Outward(c.err)
		if e.Code != c.code || e.Status != c.status || strings.Contains(e.Description, "cause") {
			t.Errorf("%v: %d %s %q", c.err, e.Status, e.Code, e.Description)
		}
	}
}

// UK open banking: rejected and deleted are final; an authorised consent may be
// authorised again, and none after its end.
func TestConsentStates(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status          fapi.ConsentStatus
		expires         time.Time
		decidable, live bool
	}{
		{fapi.ConsentAwaiting, time.Time{}, true, false},
		{fapi.ConsentAuthorised, time.Time{}, true, true},
		{fapi.ConsentAuthorised, now.Add(time.Second), true, true},
		{fapi.ConsentAuthorised, now, false, false},
		{fapi.ConsentRejected, time.Time{}, false, false},
		{fapi.ConsentDeleted, time.Time{}, false, false},
	} {
		consent := fapi.Consent{Status: c.status, ExpiresAt: c.expires}
		if consent.Decidable(now) != c.decidable || consent.Live(now) != c.live {
			t.Errorf("%s until %s: decidable %v, live %v", c.status, c.expires, consent.Decidable(now), consent.Live(now))
		}
	}
}

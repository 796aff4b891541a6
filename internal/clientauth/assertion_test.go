package clientauth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/fetch"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/wire"
)

type edit = map[string]any

func TestNewRefusesZeroValues(t *testing.T) {
	r := newRig(t)
	now := func() time.Time { return start }
	for name, try := range map[string]struct {
		cfg  clientauth.Config
		deps clientauth.Deps
	}{
		"no issuer":   {clientauth.Config{}, clientauth.Deps{Clients: r, Certs: r, Now: now}},
		"no MTLSBase": {clientauth.Config{Issuer: fapi.Issuer{URL: "x"}}, clientauth.Deps{Clients: r, Certs: r, Now: now}},
		"no clients":  {clientauth.Config{Issuer: issuer}, clientauth.Deps{Certs: r, Now: now}},
		"no certs":    {clientauth.Config{Issuer: issuer}, clientauth.Deps{Clients: r, Now: now}},
		"no clock":    {clientauth.Config{Issuer: issuer}, clientauth.Deps{Clients: r, Certs: r}},
	} {
		if _, err := clientauth.New(try.cfg, try.deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What clients in use send and FAPI 1 allows.
func TestGoodAssertions(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		name   string
		id     string
		kid    string
		typ    string
		edit   edit
		params wire.Params
	}{
		{name: "plain, no client_id in the form", id: keyed, kid: "es"},
		{name: "client_id in the form", id: keyed, kid: "es", params: wire.Params{"client_id": keyed}},
		{name: "PS256", id: keyed, kid: "ps"},
		{name: "registered algorithm", id: onlyPS, kid: "ps"},
		{name: "typ JWT", id: keyed, kid: "es", typ: "JWT"},
		{name: "typ jwt (CA-07)", id: keyed, kid: "es", typ: "jwt"},
		{name: "typ client-authentication+jwt", id: keyed, kid: "es", typ: "client-authentication+jwt"},
		{name: "typ in full", id: keyed, kid: "es", typ: "application/Client-Authentication+JWT"},
		{name: "no iat, no nbf (Nimbus)", id: keyed, kid: "es", edit: edit{"iat": nil, "nbf": nil}},
		{name: "an hour (Authlib, zitadel)", id: keyed, kid: "es", edit: edit{"exp": start.Add(time.Hour).Unix()}},
		{name: "an hour of a clock ahead of ours", id: keyed, kid: "es", edit: edit{"exp": start.Add(time.Hour + 30*time.Second).Unix(), "iat": start.Add(30 * time.Second).Unix()}},
		{name: "iat +8 s (attack 43)", id: keyed, kid: "es", edit: edit{"iat": start.Add(8 * time.Second).Unix(), "nbf": start.Add(8 * time.Second).Unix()}},
		{name: "iat an hour ago", id: keyed, kid: "es", edit: edit{"iat": start.Add(-time.Hour).Unix()}},
		{name: "one second left", id: keyed, kid: "es", edit: edit{"exp": start.Add(time.Second).Unix()}},
		{name: "fractions of a second", id: keyed, kid: "es", edit: edit{"exp": float64(start.Unix()) + 60.5}},
		{name: "jti of the greatest length", id: keyed, kid: "es", edit: edit{"jti": strings.Repeat("j", 512)}},
		{name: "unknown claims", id: keyed, kid: "es", edit: edit{"scope": "accounts", "x": []int{1}}},
		{name: "issuer as the one audience", id: strict, kid: "es"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			claims := r.claims(tc.id, tc.edit)
			got, err := r.Authenticate(context.Background(), asserted(r.sign(t, tc.kid, tc.typ, claims), tc.params))
			if err != nil {
				t.Fatal(err)
			}
			if got.Client.ID != tc.id {
				t.Errorf("authenticated %s", got.Client.ID)
			}
			jti, _ := claims["jti"].(string)
			want := fapi.Once{Issuer: issuer.URL, Namespace: tc.id, Digest: sha256.Sum256([]byte(jti)), ExpiresAt: got.Once.ExpiresAt}
			if got.Once != want {
				t.Errorf("to be spent: %+v, want %+v", got.Once, want)
			}
		})
	}
}

// CA-06, attack 86: the jti is remembered past the last moment at which any host of
// ours could take the assertion.
func TestOnceOutlivesTheAssertion(t *testing.T) {
	r := newRig(t)
	got, err := r.Authenticate(context.Background(), asserted(r.sign(t, "es", "", r.claims(keyed))))
	if err != nil {
		t.Fatal(err)
	}
	if want := start.Add(time.Minute + fapi.ClockSkew).Unix(); got.Once.ExpiresAt != want {
		t.Errorf("remembered until %d, want %d", got.Once.ExpiresAt, want)
	}
}

// CA-03, CA-04, MT-15; attack 42.
func TestAudiences(t *testing.T) {
	r := newRig(t)
	type list = []string
	for _, tc := range []struct {
		name          string
		aud           any
		endpoints, ok bool // whether it passes where endpoints are allowed, and where not
	}{
		{"issuer", issuer.URL, true, true},
		{"array of the issuer", list{issuer.URL}, true, false},
		{"token URL", issuer.At("/token"), true, false},
		{"token alias", issuer.MTLSAt("/token"), true, false},
		{"PAR URL", issuer.At("/par"), true, false},
		{"PAR alias", issuer.MTLSAt("/par"), true, false},
		{"introspection alias", issuer.MTLSAt("/introspect"), true, false},
		{"revocation URL", issuer.At("/revoke"), true, false},
		{"issuer among others", list{"https://evil.example.com", issuer.URL}, true, false},
		{"others only", list{"https://evil.example.com"}, false, false},
		{"issuer with slash", issuer.URL + "/", false, false},
		{"issuer in other case", strings.ToUpper(issuer.URL), false, false},
		{"prefix", "https://bank.example.co", false, false},
		{"token URL with query", issuer.At("/token?x=1"), false, false},
		{"mTLS base", issuer.MTLSBase, false, false},
		{"authorization URL", issuer.At("/authorize"), false, false},
		{"API", issuer.Audience, false, false},
		{"empty", "", false, false},
		{"empty array", list{}, false, false},
		{"absent", nil, false, false},
		{"number", 1, false, false},
		{"object", edit{"a": issuer.URL}, false, false},
		{"array with a number", []any{issuer.URL, 1}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for id, pass := range map[string]bool{keyed: tc.endpoints, strict: tc.ok} {
				_, err := r.Authenticate(context.Background(), asserted(r.sign(t, "es", "", r.claims(id, edit{"aud": tc.aud}))))
				switch {
				case pass && err != nil:
					t.Errorf("%s: %v", id, err)
				case !pass:
					mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
				}
			}
		})
	}
}

// Every refusal that needs no client, by its clause.
func TestBadClaims(t *testing.T) {
	r := newRig(t)
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, tc := range []struct {
		name   string
		edit   edit
		params wire.Params
	}{
		{"no sub (CA-02, attacks 19 and 44)", edit{"sub": nil}, nil},
		{"no iss (CA-02)", edit{"iss": nil}, nil},
		{"iss is not sub (CA-02, attack 44)", edit{"iss": onlyPS}, nil},
		{"sub of another client (G-12, attack 44)", nil, wire.Params{"client_id": onlyPS}},
		{"sub as array (CA-02)", edit{"sub": []string{keyed}}, nil},
		{"sub in other case (G-17)", edit{"sub": nil, "Sub": keyed}, nil},
		{"no exp (CA-05)", edit{"exp": nil}, nil},
		{"exp now (CA-05)", edit{"exp": at(0)}, nil},
		{"exp 5 min past (attack 43)", edit{"exp": at(-5 * time.Minute)}, nil},
		{"exp +1 day (attack 43)", edit{"exp": at(24 * time.Hour)}, nil},
		{"exp beyond an hour and the skew (CA-05)", edit{"exp": at(time.Hour + 31*time.Second)}, nil},
		{"exp as string (attack 34)", edit{"exp": sprint(at(time.Minute))}, nil},
		{"exp negative (attack 34)", edit{"exp": -1}, nil},
		{"exp null (attack 34)", edit{"exp": jsonNull{}}, nil},
		{"exp in the year 9999 (attack 34)", edit{"exp": int64(253402300799)}, nil},
		{"exp out of range (attack 34)", edit{"exp": 1e300}, nil},
		{"iat +61 s (attack 43, F2-16)", edit{"iat": at(61 * time.Second)}, nil},
		{"iat +31 s (F2-16)", edit{"iat": at(31 * time.Second)}, nil},
		{"iat array (attack 34)", edit{"iat": []int64{at(0)}}, nil},
		{"iat older than an hour (CA-05)", edit{"iat": at(-time.Hour - time.Second)}, nil},
		{"nbf +31 s (F2-16)", edit{"nbf": at(31 * time.Second)}, nil},
		{"no jti (CA-06)", edit{"jti": nil}, nil},
		{"empty jti (CA-06)", edit{"jti": ""}, nil},
		{"jti too long (CA-06)", edit{"jti": strings.Repeat("j", 513)}, nil},
		{"jti as number (CA-06)", edit{"jti": 7}, nil},
		{"assertion type of SAML (CA-01)", nil, wire.Params{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
		{"assertion type of the grant (CA-01)", nil, wire.Params{"client_assertion_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		{"no assertion type (CA-01)", nil, wire.Params{"client_assertion_type": ""}},
		{"assertion type without assertion (CA-01)", nil, wire.Params{"client_assertion": ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := r.finds.Load()
			_, err := r.Authenticate(context.Background(), asserted(r.sign(t, "es", "", r.claims(keyed, tc.edit)), tc.params))
			mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
			if r.finds.Load() != before {
				t.Error("a client was looked up")
			}
		})
	}
}

// jsonNull is a null that claims does not drop.
type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Attacks 19 to 25, 27 to 29, 33: what is no client assertion at all.
func TestMalformedAssertions(t *testing.T) {
	r := newRig(t)
	good := r.sign(t, "es", "", r.claims(keyed))
	head, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	header := func(h string) string { return r.signHeader(t, "es", h, r.claims(keyed)) }
	for name, compact := range map[string]string{
		"text":                       "x",
		"two parts":                  head + "." + payload,
		"no signature":               head + "." + payload + ".",
		"four parts":                 good + ".x",
		"JSON serialisation (JW-03)": `{"payload":"` + payload + `"}`,
		"padding":                    strings.Replace(good, ".", "=.", 1),
		"line feed":                  good + "\n",
		"tilde (attack 33)":          good + "~",
		"too long (G-18)":            r.sign(t, "es", "", r.claims(keyed, edit{"x": strings.Repeat("x", 17<<10)})),
		"many dots (attack 29)":      strings.Repeat(".", 10000),
		"at+jwt (attack 20)":         r.sign(t, "es", "at+jwt", r.claims(keyed)),
		"request object (attack 19)": r.sign(t, "es", "oauth-authz-req+jwt", r.claims(keyed)),
		"dpop+jwt (JW-08)":           r.sign(t, "es", "dpop+jwt", r.claims(keyed)),
		"crit (G-16)":                header(`{"alg":"ES256","kid":"es","crit":["exp"]}`),
		"empty crit (attack 27)":     header(`{"alg":"ES256","kid":"es","crit":[]}`),
		"b64 (attack 27)":            header(`{"alg":"ES256","kid":"es","b64":false}`),
		"alg twice (attack 28)":      header(`{"alg":"none","kid":"es","alg":"ES256"}`),
		"alg array (attack 21)":      header(`{"alg":["ES256"],"kid":"es"}`),
		"alg missing (attack 21)":    header(`{"kid":"es"}`),
		"kid of control characters":  header(`{"alg":"ES256","kid":"\u0000"}`),
		"aud twice (attack 28)":      r.signRaw(t, "es", "", []byte(`{"iss":"`+keyed+`","sub":"`+keyed+`","aud":"`+issuer.URL+`","aud":"evil","exp":1795348860,"jti":"j"}`)),
		"claims array":               r.signRaw(t, "es", "", []byte(`[]`)),
		"two values":                 r.signRaw(t, "es", "", []byte(`{}{}`)),
		"deep nesting (attack 34)":   r.signRaw(t, "es", "", []byte(strings.Repeat(`{"a":`, 3000)+"1"+strings.Repeat("}", 3000))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Authenticate(context.Background(), asserted(compact))
			mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
		})
	}
}

// A caller who has not shown to hold a registered key learns nothing: these answers
// are all the same (CA-08, F1A-10, F1A-18; attacks 21 to 25).
func TestUnprovenCallersHearTheSame(t *testing.T) {
	r := newRig(t)
	foreign := newRig(t)
	var first *fapi.Error
	good := r.sign(t, "es", "", r.claims(keyed))
	flipped := []byte(good)
	if middle := len(flipped) - 40; flipped[middle] == 'A' {
		flipped[middle] = 'B'
	} else {
		flipped[middle] = 'A'
	}
	for _, tc := range []struct{ name, compact string }{
		{"unknown client", r.sign(t, "es", "", r.claims(stranger))},
		{"registered for a certificate", r.sign(t, "es", "", r.claims(shouting))},
		{"without keys", r.sign(t, "es", "", r.claims(keyless))},
		{"another's key", foreign.sign(t, "es", "", r.claims(keyed))},
		{"not the registered algorithm (CA-08)", r.sign(t, "es", "", r.claims(onlyPS))},
		{"registered algorithm is forbidden (F1A-18)", r.sign(t, "ps", "", r.claims(withRS))},
		{"alg RS256 (attack 22)", r.signHeader(t, "ps", `{"alg":"RS256","kid":"ps"}`, r.claims(keyed))},
		{"alg none (attack 21)", r.signHeader(t, "es", `{"alg":"none","kid":"es"}`, r.claims(keyed))},
		{"alg nOnE (attack 21)", r.signHeader(t, "es", `{"alg":"nOnE","kid":"es"}`, r.claims(keyed))},
		{"alg HS256 (attack 21)", r.signHeader(t, "es", `{"alg":"HS256","kid":"es"}`, r.claims(keyed))},
		{"ES256 for an RSA key (attack 23)", r.signHeader(t, "es", `{"alg":"ES256","kid":"ps"}`, r.claims(keyed))},
		{"unknown kid (attack 25)", r.signHeader(t, "es", `{"alg":"ES256","kid":"../../etc/passwd"}`, r.claims(keyed))},
		{"own key in jwk (attack 24)", foreign.signHeader(t, "es", `{"alg":"ES256","jwk":{"kty":"EC"},"jku":"https://evil.example.com"}`, r.claims(keyed))},
		{"other audience unproven", foreign.sign(t, "es", "", r.claims(keyed, edit{"aud": "https://evil.example.com"}))},
		{"signature changed", string(flipped)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := r.Authenticate(context.Background(), asserted(tc.compact))
			e := mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
			if first == nil {
				first = e
			}
			if e.Description != first.Description {
				t.Errorf("heard %q, others %q", e.Description, first.Description)
			}
			if e.Unwrap() == nil {
				t.Error("no cause for the event")
			}
		})
	}
}

// A kid may be left out (Authlib): every fitting key is tried.
func TestNoKID(t *testing.T) {
	r := newRig(t)
	compact := r.signHeader(t, "ps", `{"alg":"PS256"}`, r.claims(keyed))
	if _, err := r.Authenticate(context.Background(), asserted(compact)); err != nil {
		t.Error(err)
	}
}

// A client that changes its keys and sends no kid, or the same, is let in once its
// jwks_uri may be asked again.
func TestKeysChangeAtTheHost(t *testing.T) {
	for name, header := range map[string]string{
		"no kid": `{"alg":"ES256"}`, "same kid": `{"alg":"ES256","kid":"es"}`, "new kid": `{"alg":"ES256","kid":"new"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ctx := context.Background()
			if _, err := r.Authenticate(ctx, asserted(r.sign(t, "es", "", r.claims(hosted)))); err != nil {
				t.Fatal(err)
			}
			kid := "es"
			if name == "new kid" {
				kid = "new"
			}
			r.jwks = r.makeKeys(t, kid, jose.ES256)
			_, err := r.Authenticate(ctx, asserted(r.signHeader(t, kid, header, r.claims(hosted))))
			mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
			r.now = r.now.Add(time.Minute)
			if _, err := r.Authenticate(ctx, asserted(r.signHeader(t, kid, header, r.claims(hosted)))); err != nil {
				t.Error(err)
			}
		})
	}
}

// An outage is never answered with invalid_client: the client would give up.
func TestAssertionDuringOutages(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	r.storeErr = fapi.ErrUnavailable
	_, err := r.Authenticate(ctx, asserted(r.sign(t, "es", "", r.claims(keyed))))
	mustRefuse(t, err, "temporarily_unavailable", http.StatusServiceUnavailable)
	r.storeErr = errors.New("a row that does not decode")
	_, err = r.Authenticate(ctx, asserted(r.sign(t, "es", "", r.claims(keyed))))
	mustRefuse(t, err, "server_error", http.StatusInternalServerError)

	r = newRig(t)
	r.host = func() ([]byte, error) { return nil, errors.New("connection refused") }
	_, err = r.Authenticate(ctx, asserted(r.sign(t, "es", "", r.claims(hosted))))
	mustRefuse(t, err, "temporarily_unavailable", http.StatusServiceUnavailable)

	r = newRig(t)
	r.host = func() ([]byte, error) { return nil, fetch.ErrRefused } // attack 66
	_, err = r.Authenticate(ctx, asserted(r.sign(t, "es", "", r.claims(hosted))))
	mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
}

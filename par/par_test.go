package par_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/internal/wire"
	"github.com/procura/procura/par"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	issuer = fapi.Issuer{URL: "https://bank.example"}
	now    = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
)

// door lets one client in, with the jti that the form names.
type door struct{ err error }

func (d door) Authenticate(_ context.Context, r clientauth.Request) (clientauth.Result, error) {
	client := &clients.Registered{Client: &fapi.Client{ID: "tpp"}, Rules: profile.Rules{PARLife: 90 * time.Second}}
	return clientauth.Result{Client: client, Once: fapi.Once{Issuer: issuer.URL, Namespace: "tpp",
		Digest: fapi.Secret(r.Params.Get("jti")).Digest(), ExpiresAt: now.Add(time.Hour).Unix()}}, d.err
}

// judge accepts every request, or none.
type judge struct{ err error }

func (j judge) ReadPushed(context.Context, *clients.Registered, wire.Params) (*fapi.AuthorizationRequest, error) {
	return &fapi.AuthorizationRequest{ClientID: "tpp", RedirectURI: "https://tpp.example/cb", ResponseType: "code id_token",
		ResponseMode: "fragment", Scope: []string{"openid"}}, j.err
}

func service(t *testing.T, store par.Store, d door, j judge) *par.Service {
	t.Helper()
	s, err := par.New(par.Config{Issuer: issuer}, par.Deps{Store: store, Authenticator: d, Validator: j,
		Now: func() time.Time { return now }, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func push(s *par.Service, jti string) (int, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/par", strings.NewReader("jti="+jti))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body map[string]any
	if json.Unmarshal(w.Body.Bytes(), &body) != nil {
		return w.Code, nil
	}
	return w.Code, body
}

// RFC 9126 §2.2, design 1.5: 201 with a URN, in one round trip; what is stored is
// found by its digest.
func TestPushCostsOneRoundTrip(t *testing.T) {
	db, trips := pgtest.NewCounted(t)
	s := service(t, db, door{}, judge{})
	push(s, "prepares-the-statement")
	trips.Reset()
	status, body := push(s, "one")
	if n := trips.RoundTrips(); status != http.StatusCreated || n != 1 {
		t.Fatalf("%d %v in %d round trips", status, body, n)
	}
	uri, _ := body["request_uri"].(string)
	if !strings.HasPrefix(uri, fapi.RequestURIPrefix) || body["expires_in"] != 90.0 {
		t.Errorf("%v", body)
	}
	stored, err := db.ReadPushed(t.Context(), issuer.URL, fapi.Secret(uri).Digest())
	if err != nil || stored.ClientID != "tpp" || !stored.ExpiresAt.Equal(now.Add(90*time.Second)) || stored.Spent {
		t.Errorf("%+v %v", stored, err)
	}
}

// CA-06: one assertion, 64 pushes at once: one is stored, the others are 401.
func TestOneAssertionOnePush(t *testing.T) {
	s := service(t, pgtest.New(t), door{}, judge{})
	var mu sync.Mutex
	var all sync.WaitGroup
	got := map[int]int{}
	for range 64 {
		all.Go(func() {
			status, _ := push(s, "the-same")
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	all.Wait()
	if got[201] != 1 || got[401] != 63 {
		t.Errorf("%v", got)
	}
}

// A refused push spends its assertion all the same, and tells the refusal.
func TestRefusedPushSpendsTheAssertion(t *testing.T) {
	db := pgtest.New(t)
	status, body := push(service(t, db, door{}, judge{err: fapi.InvalidRequestObject("no")}), "spent")
	if status != http.StatusBadRequest || body["error"] != "invalid_request_object" {
		t.Fatalf("%d %v", status, body)
	}
	if status, body = push(service(t, db, door{}, judge{}), "spent"); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
		t.Errorf("%d %v", status, body)
	}
}

// RFC 9126 §2.1-1: who does not authenticate pushes nothing; an outage is no
// fault of the client.
func TestPushRefusals(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fapi.InvalidClient("no"), 401, "invalid_client"},
		{errors.New("something else"), 500, "server_error"},
		{fapi.ErrUnavailable, 503, "temporarily_unavailable"},
	} {
		status, body := push(service(t, pgtest.New(t), door{err: c.err}, judge{}), "x")
		if status != c.status || body["error"] != c.code {
			t.Errorf("%v: %d %v", c.err, status, body)
		}
	}
}

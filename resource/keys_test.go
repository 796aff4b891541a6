package resource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

func TestKeysAreFetchedOnce(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	token := w.issuer.Token(w.tpp.Cert)
	var all sync.WaitGroup
	errs := make([]error, 64)
	for n := range errs {
		all.Go(func() { _, errs[n] = w.verify(t, token) })
	}
	all.Wait()
	must(t, errors.Join(errs...))
	if m, k := w.issuer.Calls.Metadata.Load(), w.issuer.Calls.Keys.Load(); m != 1 || k != 1 {
		t.Errorf("%d reads of the metadata and %d of the keys for 64 parallel requests, want 1 and 1", m, k)
	}
}

// A new key is found at once; invented key ids cost one fetch per KeyRetry
// (attack: key id flooding), however many requests bring them.
func TestUnknownKeyID(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
	must(t, err)
	w.clock.advance(10 * time.Second)
	w.issuer.Rotate("k2", jose.PS256)
	_, err = w.verify(t, w.issuer.Token(w.tpp.Cert))
	must(t, err)
	before := w.issuer.Calls.Keys.Load()
	w.clock.advance(10 * time.Second)
	var all sync.WaitGroup
	for n := range 64 {
		forged, _ := resourcetest.Key(t, fmt.Sprintf("invented-%d", n), jose.ES256)
		token := resourcetest.SignWith(t, forged, "at+jwt", w.issuer.Claims(w.tpp.Cert))
		all.Go(func() {
			if _, err := w.verify(t, token); resource.AsError(err).Status != 401 {
				t.Errorf("invented key id: %v, want 401", err)
			}
		})
	}
	all.Wait()
	if n := w.issuer.Calls.Keys.Load() - before; n != 1 {
		t.Errorf("64 invented key ids caused %d reads of the keys, want 1", n)
	}
}

func TestLastGoodKeysServeUntilTheyAreTooOld(t *testing.T) {
	w := newWorld(t, nothingRevoked(), func(c *resource.Config) { c.MaxKeyAge = time.Hour })
	present := func() error {
		_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
		return err
	}
	must(t, present())
	w.issuer.Break(true)
	w.clock.advance(30 * time.Minute) // older than KeyRefresh: read again behind a request that is served
	before := w.issuer.Calls.Metadata.Load()
	must(t, present())
	eventually(t, 5*time.Second, "a refresh was tried", func() bool { return w.issuer.Calls.Metadata.Load() > before })
	must(t, present())
	w.clock.advance(31 * time.Minute)
	refused(t, present(), 503, "temporarily_unavailable")
	w.issuer.Break(false)
	w.clock.advance(time.Minute)
	must(t, present())
}

func TestKeysThatWereWithdrawnAreForgotten(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	token := w.issuer.Token(w.tpp.Cert)
	_, err := w.verify(t, token)
	must(t, err)
	w.issuer.Withdraw("k1")
	w.issuer.Rotate("k2", jose.ES256)
	w.clock.advance(6 * time.Minute)
	eventually(t, 5*time.Second, "the withdrawn key is refused", func() bool {
		_, err := w.verify(t, token)
		return err != nil
	})
}

// OIDC Discovery §4.3: a document of another issuer is not ours. No keys is 503,
// not 401: the token may well be good.
func TestMetadataThatIsRefused(t *testing.T) {
	const issuer = "https://issuer.example"
	good := `{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/jwks"}`
	for name, docs := range map[string][2]string{
		"another issuer":     {`{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/jwks"}`, ""},
		"http keys":          {`{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/jwks"}`, ""},
		"no keys":            {`{"issuer":"https://issuer.example"}`, ""},
		"not JSON":           {`<html>`, ""},
		"unusable key set":   {good, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k1"}]}`},
		"unreachable keys":   {good, ""},
		"unreachable issuer": {"", ""},
	} {
		v, err := resource.New(resource.DefaultConfig(issuer, resourcetest.Audience), resource.Deps{
			Revocations: nothingRevoked(), Now: time.Now,
			Fetch: func(_ context.Context, url string) ([]byte, error) {
				body := docs[0]
				if url == issuer+"/jwks" {
					body = docs[1]
				}
				if body == "" {
					return nil, errors.New("unreachable")
				}
				return []byte(body), nil
			}})
		must(t, err)
		signer, _ := resourcetest.Key(t, "k1", jose.ES256)
		_, err = v.Verify(t.Context(), resource.Request{Method: http.MethodGet,
			Authorization: []string{"Bearer " + resourcetest.SignWith(t, signer, "at+jwt", map[string]any{})}})
		t.Run(name, func(t *testing.T) { refused(t, err, 503, "temporarily_unavailable") })
	}
}

// A request that goes away does not take the fetch with it.
func TestFetchOutlivesItsFirstRequest(t *testing.T) {
	release := make(chan struct{})
	_, public := resourcetest.Key(t, "k1", jose.ES256)
	cfg := resource.DefaultConfig("https://issuer.example", resourcetest.Audience)
	cfg.JWKSURI = "https://issuer.example/jwks"
	v, err := resource.New(cfg, resource.Deps{Revocations: nothingRevoked(), Now: time.Now,
		Fetch: func(ctx context.Context, _ string) ([]byte, error) {
			<-release
			return []byte(`{"keys":[` + string(public) + `]}`), ctx.Err()
		}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Prepare(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request got %v", err)
	}
	close(release)
	must(t, v.Prepare(t.Context()))
}

package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
	"github.com/procura/procura/resource/resourcetest"
)

// bank is the API behind the gateway; it remembers what reached it.
type bank struct {
	mu     sync.Mutex
	seen   []*http.Request
	bodies []string
	answer http.HandlerFunc
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a body that was cut off shows as a short one
	b.mu.Lock()
	b.seen, b.bodies = append(b.seen, r), append(b.bodies, string(body))
	answer := b.answer
	b.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, `{"Data":{}}`)
}

func (b *bank) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) == 0 {
		t.Fatal("nothing reached the API")
	}
	return b.seen[len(b.seen)-1], b.bodies[len(b.bodies)-1]
}

func (b *bank) calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

type world struct {
	issuer   *resourcetest.Issuer
	tpp      *certtest.Leaf
	client   *http.Client // of the TPP
	bank     *bank
	consents *bank // the authorization server's consent API
	url      string

	mu      sync.Mutex
	records []gateway.Record
}

// fullGrant is what introspection says of a customer's grant.
func fullGrant() map[string]any {
	return map[string]any{"active": true, "client_id": resourcetest.ClientID, "grant_id": resourcetest.GrantID,
		"consent_id": resourcetest.ConsentID, "customer": "cust-1001", "accounts": []string{"acc-1", "acc-2"},
		"permissions": []string{"ReadAccountsBasic", "ReadBalances"}}
}

// newWorld runs an issuer, a bank and a gateway between them, all over real
// connections.
func newWorld(t *testing.T, edit func(*gateway.Config)) *world {
	t.Helper()
	w := &world{issuer: resourcetest.Start(t, time.Now), bank: &bank{}, consents: &bank{}}
	w.issuer.Consents = w.consents
	w.issuer.Describe(resourcetest.GrantID, fullGrant())
	w.tpp = w.issuer.ClientCertificate("tpp")
	behind := httptest.NewServer(w.bank)
	t.Cleanup(behind.Close)
	own, err := resource.NewClient(w.issuer.ClientCertificate("gateway").TLS(), w.issuer.CA.Pool())
	must(t, err)
	cfg := gateway.DefaultConfig(w.issuer.URL, resourcetest.ServerID, behind.URL)
	cfg.Timeout = 5 * time.Second
	if edit != nil {
		edit(&cfg)
	}
	h, err := gateway.New(cfg, gateway.Deps{Verifier: w.verifier(t, own), Client: own, Upstream: &http.Transport{},
		Now: time.Now, Rand: rand.Reader, Log: w.log})
	must(t, err)
	w.url = resourcetest.Serve(t, w.issuer.CA, h)
	w.client, err = resource.NewClient(w.tpp.TLS(), w.issuer.CA.Pool())
	must(t, err)
	return w
}

func (w *world) verifier(t *testing.T, own *http.Client) *resource.Verifier {
	t.Helper()
	feed, err := resource.NewFeed(resource.DefaultFeedConfig(w.issuer.URL+"/revocations", resourcetest.ServerID),
		resource.FeedDeps{Client: own, Now: time.Now, Report: func(error) {}})
	must(t, err)
	fetch, err := resource.NewFetcher(w.issuer.CA.Pool(), w.issuer.Host())
	must(t, err)
	v, err := resource.New(resource.DefaultConfig(w.issuer.URL, resourcetest.Audience),
		resource.Deps{Fetch: fetch, Revocations: feed, Now: time.Now})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := feed.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the feed ended with %v", err)
		}
	})
	t.Cleanup(func() { stop(); done.Wait() })
	eventually(t, 5*time.Second, "ready", func() bool { return v.Ready(t.Context()) == nil })
	return v
}

func (w *world) log(r gateway.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
}

// recorded waits for the record of an interaction: it is written after the answer.
func (w *world) recorded(t *testing.T, id string) gateway.Record {
	t.Helper()
	var found gateway.Record
	eventually(t, 5*time.Second, "recorded", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range w.records {
			if r.InteractionID == id {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// request is one call of the TPP.
type request struct {
	method, path, token, body string
	header                    http.Header
}

func (w *world) send(t *testing.T, q request) (*http.Response, string) {
	t.Helper()
	return sendWith(t, w.client, w.url, q)
}

func sendWith(t *testing.T, client *http.Client, base string, q request) (*http.Response, string) {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, strings.NewReader(q.body))
	must(t, err)
	if q.header != nil {
		req.Header = q.header.Clone()
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

func (w *world) userToken(t *testing.T, edit map[string]any) string {
	t.Helper()
	c := w.issuer.Claims(w.tpp.Cert)
	for name, v := range edit {
		c[name] = v
	}
	return w.issuer.Sign("at+jwt", c)
}

func (w *world) appToken(t *testing.T, edit map[string]any) string {
	t.Helper()
	c := w.issuer.ApplicationClaims(w.tpp.Cert)
	for name, v := range edit {
		c[name] = v
	}
	return w.issuer.Sign("at+jwt", c)
}

func errorCode(t *testing.T, body string) string {
	t.Helper()
	var p struct {
		Code, Id, Message string
		Errors            []struct{ ErrorCode, Message string }
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || len(p.Errors) != 1 || p.Id == "" || p.Message == "" {
		t.Fatalf("not an error body: %q (%v)", body, err)
	}
	return p.Errors[0].ErrorCode
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("after %v still not: %s", within, what)
		case <-again.C:
		}
	}
}

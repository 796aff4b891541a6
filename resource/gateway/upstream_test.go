package gateway_test

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
)

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.MaxBody = 100 })
	long := strings.Repeat("a", 101)
	res, body := w.send(t, request{method: "POST", path: v3 + "/account-access-consents", token: w.appToken(t, nil), body: long})
	if res.StatusCode != 413 {
		t.Errorf("announced: %d %s, want 413", res.StatusCode, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+v3+"/account-access-consents", struct{ *strings.Reader }{strings.NewReader(long)})
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.appToken(t, nil))
	res, err = w.client.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != 413 {
		t.Errorf("in chunks: %d, want 413", res.StatusCode)
	}
}

func TestUpstreamsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*gateway.Config)
		answer http.HandlerFunc
		status int
	}{
		"nobody there":               {func(c *gateway.Config) { c.Upstream = "http://127.0.0.1:1" }, nil, 502},
		"refuses the gateway itself": {nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, 502},
		"cut off":                    {nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502},
		"too slow": {func(c *gateway.Config) { c.Timeout = 100 * time.Millisecond },
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504},
		"an upgrade nobody asked for": {nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "h2c")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}, 502},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.edit)
			w.bank.answer = c.answer
			res, body := w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil),
				header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}})
			if res.StatusCode != c.status || errorCode(t, body) != "UK.OBIE.UnexpectedError" {
				t.Fatalf("%d %s, want %d", res.StatusCode, body, c.status)
			}
			if r := w.recorded(t, res.Header.Get("x-fapi-interaction-id")); r.Reason == nil {
				t.Error("the log does not say why")
			}
		})
	}
}

func TestAnswersAreCleaned(t *testing.T) {
	w := newWorld(t, nil)
	w.bank.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		rw.Header().Set("Date", "Tue, 11 Sep 2012 19:43:31 GMT")
		rw.Header().Set("X-Procura-Customer", "cust-1001")
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"Code":"400"}`))
	}
	res, body := w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)})
	dated, err := http.ParseTime(res.Header.Get("Date"))
	must(t, err)
	if res.StatusCode != 400 || body != `{"Code":"400"}` || res.Header.Get("X-Procura-Customer") != "" ||
		time.Since(dated) > time.Minute || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", res.StatusCode, body, res.Header)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	good := gateway.DefaultConfig("https://mtls.issuer.example", "gateway", "http://127.0.0.1:8080")
	client := &http.Client{Transport: &http.Transport{}}
	deps := gateway.Deps{Verifier: &resource.Verifier{}, Client: client, Upstream: client.Transport, Now: time.Now,
		Rand: rand.Reader, Log: func(gateway.Record) {}}
	_, err := gateway.New(good, deps)
	must(t, err)
	if _, err := gateway.New(good, gateway.Deps{}); err == nil {
		t.Error("accepted without Deps")
	}
	rule := func(edit func(*gateway.Rule)) func(*gateway.Config) {
		return func(c *gateway.Config) {
			r := gateway.UKOpenBanking()[3]
			edit(&r)
			c.Rules = []gateway.Rule{r}
		}
	}
	for name, edit := range map[string]func(*gateway.Config){
		"http server":         func(c *gateway.Config) { c.MTLSBase = "http://issuer.example" },
		"server with slash":   func(c *gateway.Config) { c.MTLSBase += "/" },
		"no client":           func(c *gateway.Config) { c.ClientID = "" },
		"no upstream":         func(c *gateway.Config) { c.Upstream = "" },
		"strange upstream":    func(c *gateway.Config) { c.Upstream = "ftp://127.0.0.1" },
		"no rules":            func(c *gateway.Config) { c.Rules = nil },
		"no body limit":       func(c *gateway.Config) { c.MaxBody = 0 },
		"no timeout":          func(c *gateway.Config) { c.Timeout = 0 },
		"no grants":           func(c *gateway.Config) { c.MaxGrants = 0 },
		"check without name":  func(c *gateway.Config) { c.Check.Callers = []string{"x"} },
		"rule without method": rule(func(r *gateway.Rule) { r.Method = "" }),
		"rule without kind":   rule(func(r *gateway.Rule) { r.Kind = 0 }),
		"rule without scope":  rule(func(r *gateway.Rule) { r.Scope = "" }),
		"rule without role":   rule(func(r *gateway.Rule) { r.Role = "" }),
		"rule without target": rule(func(r *gateway.Rule) { r.Target = 0 }),
		"account not in path": rule(func(r *gateway.Rule) { r.Account = true }),
		"application consent": rule(func(r *gateway.Rule) { r.Kind = gateway.Application }),
	} {
		cfg := good
		edit(&cfg)
		if _, err := gateway.New(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

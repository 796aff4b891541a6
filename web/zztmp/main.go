package main

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/web"
)

func main() {
	p, err := web.NewPages(web.PagesConfig{Issuer: fapi.Issuer{URL: "https://localhost:9443"}, Brand: web.Brand{Name: "Demo Bank", Accent: "#0b6e4f"}}, web.PagesDeps{Rand: rand.Reader})
	if err != nil {
		panic(err)
	}
	css, _ := os.ReadFile("web/assets/style.css")
	save := func(name string, f func(w http.ResponseWriter, r *http.Request)) {
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-ID", "9d7f0c59-6d7f-4a26-9a51-1f1f8d6b3a10")
		f(w, httptest.NewRequest("GET", "/", nil))
		s := w.Body.String()
		i := strings.Index(s, `<link rel="stylesheet"`)
		j := strings.Index(s[i:], ">") + i + 1
		s = s[:i] + "<style>:root{--accent:#0b6e4f;--on-accent:#fff}\n" + string(css) + "</style>" + s[j:]
		os.WriteFile("/tmp/shots/"+name+".html", []byte(s), 0o644)
	}
	save("consent", func(w http.ResponseWriter, r *http.Request) {
		p.Consent(w, r, fapi.ConsentView{Action: "/consent/x", Token: "tok", ClientName: "Acme Budget Planner <b>", Permissions: []string{"ReadAccountsBasic", "ReadAccountsDetail", "ReadBalances", "ReadTransactionsDetail", "ReadTransactionsCredits", "ReadTransactionsDebits"}, Scopes: []string{"openid", "accounts", "offline_access"},
			Accounts: []fapi.Account{{ID: "1", Name: "Everyday account", Number: "20-00-00 ****4821", Currency: "GBP"}, {ID: "2", Name: "Holiday savings", Number: "20-00-00 ****9907", Currency: "GBP"}}, ExpiresAt: "2027-02-20T12:00:00Z"})
	})
	save("problem", func(w http.ResponseWriter, r *http.Request) {
		p.Consent(w, r, fapi.ConsentView{Action: "/consent/x", Token: "tok", ClientName: "Ac\u202eme \u05d0\u05d1", Problem: "no_account", Accounts: []fapi.Account{{ID: "1", Name: "Everyday account", Number: "20-00-00 ****4821", Currency: "GBP"}}})
	})
	save("error", func(w http.ResponseWriter, r *http.Request) { p.Error(w, r, 400, fapi.InvalidRequest("the redirect_uri is not registered for this client")) })
	save("formpost", func(w http.ResponseWriter, r *http.Request) { p.FormPost(w, r, "https://tpp.example/cb", map[string]string{"code": "x"}) })
}

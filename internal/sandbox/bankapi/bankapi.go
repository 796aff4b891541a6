// Package bankapi is the demo bank's account information API behind the gateway:
// accounts and balances of two customers in the shape of UK Open Banking 3.1 and
// 4.0. It believes what the gateway's headers say about customer, accounts and
// permissions, and answers about the consented accounts alone; it must therefore
// be reachable through the gateway alone. It refuses requests that come without
// those headers, but cannot tell who wrote them.
package bankapi

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/resource"
)

// Config says whose accounts are served and under which public address.
type Config struct {
	Base      string // of the gateway, for links
	Customers []Customer
}

// Deps are what the API works with.
type Deps struct {
	Now func() time.Time
}

type api struct {
	cfg  Config
	deps Deps
}

// New returns the API's handler.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if cfg.Base == "" || len(cfg.Customers) == 0 || deps.Now == nil {
		return nil, errors.New("the bank API needs Base, Customers and Now")
	}
	a := &api{cfg: cfg, deps: deps}
	mux := http.NewServeMux()
	for _, v := range versions() {
		mux.Handle("GET "+v.prefix+"/accounts", a.answer(v, accounts))
		mux.Handle("GET "+v.prefix+"/accounts/{id}", a.answer(v, accounts))
		mux.Handle("GET "+v.prefix+"/accounts/{id}/balances", a.answer(v, balances))
		mux.Handle("GET "+v.prefix+"/balances", a.answer(v, balances))
	}
	return mux, nil
}

// view is what one request may see: the customer's accounts as far as the consent
// covers them.
type view struct {
	version  version
	owner    string
	accounts []Account
	detail   bool // ReadAccountsDetail; Basic leaves numbers and names out
	now      time.Time
}

func accounts(v view) any {
	out := accountData{Account: []account{}}
	for _, a := range v.accounts {
		out.Account = append(out.Account, v.version.account(a, v.owner, v.detail))
	}
	return out
}

func balances(v view) any {
	out := balanceData{Balance: []balance{}}
	for _, a := range v.accounts {
		out.Balance = append(out.Balance, v.version.balances(a, v.now)...)
	}
	return out
}

func (a *api) answer(v version, data func(view) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, err := resource.ReadFacts(r.Header)
		if err != nil || facts.Customer == "" {
			refuse(w, http.StatusForbidden, "UK.OBIE.Header.Missing", "the gateway says nothing of a customer")
			return
		}
		if !acceptsJSON(r.Header.Values("Accept")) {
			refuse(w, http.StatusNotAcceptable, "UK.OBIE.Header.Invalid", "the answer is JSON")
			return
		}
		seen, found := a.view(v, &facts, r.PathValue("id"))
		if !found {
			// Status 400 for an unknown id, as UK Open Banking asks.
			refuse(w, http.StatusBadRequest, "UK.OBIE.Resource.NotFound", "there is no such account")
			return
		}
		write(w, http.StatusOK, document{Data: data(seen), Links: links{a.cfg.Base + r.URL.Path}, Meta: meta{1}})
	})
}

// view narrows the customer's accounts to the consented ones, and to id unless it
// is "" (FAPI 1 Baseline §6.2.1-7).
func (a *api) view(v version, facts *resource.Facts, id string) (view, bool) {
	out := view{version: v, detail: slices.Contains(facts.Permissions, "ReadAccountsDetail"), now: a.deps.Now()}
	for _, c := range a.cfg.Customers {
		if c.ID != facts.Customer {
			continue
		}
		out.owner = c.Name
		for _, account := range c.Accounts {
			if slices.Contains(facts.Accounts, account.ID) && (id == "" || id == account.ID) {
				out.accounts = append(out.accounts, account)
			}
		}
	}
	return out, id == "" || len(out.accounts) > 0
}

// acceptsJSON reads Accept as far as this API needs it: parameters and weights do
// not matter, except a weight of zero.
func acceptsJSON(accept []string) bool {
	all := strings.TrimSpace(strings.Join(accept, ","))
	if all == "" {
		return true
	}
	for part := range strings.SplitSeq(all, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err == nil && params["q"] != "0" && slices.Contains([]string{"application/json", "application/*", "*/*"}, media) {
			return true
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]any{"Code": http.StatusText(status), "Message": message,
		"Errors": []map[string]string{{"ErrorCode": code, "Message": message}}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the gateway is gone when this fails
}

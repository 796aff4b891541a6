package sandbox

import (
	"net/http"
	"time"

	"github.com/procura/procura/internal/sandbox/bankapi"
	"github.com/procura/procura/internal/sandbox/login"
)

// passwords of the demo bank's customers, by user name.
func passwords() map[string]string {
	return map[string]string{"alice": "wonderland", "bob": "builder"}
}

// customers gives the demo bank's customers what they log in with.
func customers() []login.Customer {
	var all []login.Customer
	known := passwords()
	for _, c := range bankapi.Customers() {
		all = append(all, login.Customer{
			ID: c.ID, Username: c.Username, Password: known[c.Username], Accounts: c.Shareable(),
			Claims: map[string]string{"name": c.Name, "email": c.Email},
		})
	}
	return all
}

// bankAPI is the bank's API as the gateway reaches it.
func bankAPI(base string, now func() time.Time) (http.Handler, error) {
	return bankapi.New(bankapi.Config{Base: base, Customers: bankapi.Customers()}, bankapi.Deps{Now: now})
}

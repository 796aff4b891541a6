package bankapi

import (
	"fmt"

	"github.com/procura/procura/internal/fapi"
)

// Customer is one customer of the demo bank.
type Customer struct {
	ID       string // the bank's own identifier, which no TPP ever sees
	Username string
	Name     string
	Email    string
	Accounts []Account
}

// Account is one account. Amounts are in minor units of the currency.
type Account struct {
	ID       string
	Kind     Kind
	Nickname string
	SortCode string
	Number   string
	Currency string
	Booked   int64
	Pending  int64 // not yet booked; part of what is available
}

// Kind is what sort of account it is, in the words of version 3.1.
type Kind string

// Kinds of accounts.
const (
	Current    Kind = "CurrentAccount"
	Savings    Kind = "Savings"
	CreditCard Kind = "CreditCard"
)

// iso is the kind in the words of version 4.0.
func (k Kind) iso() string {
	switch k {
	case Savings:
		return "SVGS"
	case CreditCard:
		return "CARD"
	default:
		return "CACC"
	}
}

// Customers returns alice and bob with their accounts.
func Customers() []Customer {
	return []Customer{
		{ID: "cust-1001", Username: "alice", Name: "Alice Archer", Email: "alice@example.com", Accounts: []Account{
			{"alice-current", Current, "Household", "203002", "11223344", "GBP", 123_045, -1_250},
			{"alice-savings", Savings, "Rainy days", "203002", "55667788", "GBP", 1_840_000, 0},
			{"alice-euro", Current, "Travel", "203002", "99001122", "EUR", 41_780, 0},
		}},
		{ID: "cust-1002", Username: "bob", Name: "Bob Baker", Email: "bob@example.com", Accounts: []Account{
			{"bob-current", Current, "Everyday", "203002", "30405060", "GBP", 67_310, -4_599},
			{"bob-card", CreditCard, "Credit card", "203002", "70809000", "GBP", -31_290, 0},
		}},
	}
}

// Shareable returns the customer's accounts as the login application hands them
// to the issuer for the consent page: the number is masked by the bank.
func (c *Customer) Shareable() []fapi.Account {
	out := make([]fapi.Account, len(c.Accounts))
	for i, a := range c.Accounts {
		out[i] = fapi.Account{ID: a.ID, Name: a.Nickname, Number: "••••" + a.Number[len(a.Number)-4:], Currency: a.Currency}
	}
	return out
}

func (a *Account) available() int64 { return a.Booked + a.Pending }

// decimal writes minor units with two places, without sign: the sign is told by
// the credit or debit indicator.
func decimal(minor int64) string {
	minor = max(minor, -minor)
	return fmt.Sprintf("%d.%02d", minor/100, minor%100)
}

func indicator(minor int64) string {
	if minor < 0 {
		return "Debit"
	}
	return "Credit"
}

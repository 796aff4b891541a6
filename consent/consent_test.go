package consent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/consent"
	"github.com/procura/procura/internal/fapi"
)

// drawer is a store of consents in memory, by the one transition table.
type drawer struct {
	consents map[string]*fapi.Consent
	down     bool
	until    time.Time // feedUntil of the latest deletion
}

var errDown = fmt.Errorf("reaching the database: %w", fapi.ErrUnavailable)

func (d *drawer) InsertConsent(_ context.Context, c fapi.Consent) error {
	if d.down {
		return errDown
	}
	d.consents[c.ID] = &c
	return nil
}

func (d *drawer) ReadConsent(_ context.Context, issuer, id string) (*fapi.Consent, error) {
	if d.down {
		return nil, errDown
	}
	if c, known := d.consents[id]; known && c.Issuer == issuer {
		return c, nil
	}
	return nil, fapi.ErrNotFound
}

func (d *drawer) DeleteConsent(_ context.Context, _, clientID, id string, now, until time.Time) error {
	c, known := d.consents[id]
	switch {
	case d.down:
		return errDown
	case !known || c.ClientID != clientID:
		return fapi.ErrNotFound
	case !fapi.ConsentMayMove(c.Status, fapi.ConsentDeleted):
		return fapi.ErrConflict
	}
	c.Status, c.UpdatedAt, d.until = fapi.ConsentDeleted, now, until
	return nil
}

// A deletion is known to the feed for longer than any access token lives.
func TestDeleteTellsTheFeed(t *testing.T) {
	d := newDesk(t)
	client, err := d.directory.Find(t.Context(), tpp)
	must(t, err)
	c, err := d.service.Lodge(t.Context(), client, consent.Request{Permissions: []string{"ReadAccountsBasic"}})
	must(t, err)
	must(t, d.service.Delete(t.Context(), client, c.ID))
	if !d.store.until.After(d.now.Add(client.Rules.AccessLife)) {
		t.Errorf("the feed forgets at %s", d.store.until)
	}
	if d.revoked.Load() != 1 {
		t.Error("the feed was not woken")
	}
	if err := d.service.Delete(t.Context(), client, c.ID); err == nil || d.revoked.Load() != 1 {
		t.Errorf("the second deletion: %v, woken %d times", err, d.revoked.Load())
	}
}

// The rules of openbanking 5.2: which permissions make sense together.
func TestLodgeJudgesPermissions(t *testing.T) {
	d := newDesk(t)
	client, err := d.directory.Find(t.Context(), tpp)
	must(t, err)
	for _, c := range []struct {
		name  string
		asked []string
		good  bool
	}{
		{"none", nil, false},
		{"basic", []string{"ReadAccountsBasic"}, true},
		{"detail covers basic", []string{"ReadAccountsDetail"}, true},
		{"both", []string{"ReadAccountsBasic", "ReadAccountsDetail"}, true},
		{"unknown", []string{"ReadAccountsBasic", "ReadEverything"}, false},
		{"other case", []string{"readaccountsbasic"}, false},
		{"empty word", []string{"ReadAccountsBasic", ""}, false},
		{"no accounts", []string{"ReadBalances"}, false},
		{"transactions without direction", []string{"ReadAccountsBasic", "ReadTransactionsDetail"}, false},
		{"direction without transactions", []string{"ReadAccountsBasic", "ReadTransactionsCredits"}, false},
		{"transactions with credits", []string{"ReadAccountsBasic", "ReadTransactionsBasic", "ReadTransactionsCredits"}, true},
		{"transactions with debits", []string{"ReadTransactionsDetail", "ReadTransactionsDebits", "ReadAccountsBasic"}, true},
		{"repeats do no harm", []string{"ReadAccountsBasic", "ReadBalances", "ReadAccountsBasic"}, true},
		{"all", all, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := d.service.Lodge(t.Context(), client, consent.Request{Permissions: c.asked})
			if (err == nil) != c.good {
				t.Fatalf("got %v", err)
			}
			if c.good && !slices.Equal(got.Permissions, once(c.asked)) {
				t.Errorf("stored are %v", got.Permissions)
			}
		})
	}
}

var all = []string{"ReadAccountsBasic", "ReadAccountsDetail", "ReadBalances", "ReadBeneficiariesBasic",
	"ReadBeneficiariesDetail", "ReadDirectDebits", "ReadOffers", "ReadPAN", "ReadParty", "ReadPartyPSU", "ReadProducts",
	"ReadScheduledPaymentsBasic", "ReadScheduledPaymentsDetail", "ReadStandingOrdersBasic", "ReadStandingOrdersDetail",
	"ReadStatementsBasic", "ReadStatementsDetail", "ReadTransactionsBasic", "ReadTransactionsCredits",
	"ReadTransactionsDebits", "ReadTransactionsDetail"}

func once(asked []string) []string {
	var out []string
	for _, p := range asked {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// What is stored says what was asked, and nothing that the customer has not done.
func TestLodgeStoresWhatWasAsked(t *testing.T) {
	d := newDesk(t)
	client, err := d.directory.Find(t.Context(), tpp)
	must(t, err)
	asked := consent.Request{Permissions: []string{"ReadAccountsBasic"}, ExpiresAt: d.now.Add(time.Hour),
		TransactionFrom: d.now.Add(-time.Hour), TransactionTo: d.now}
	c, err := d.service.Lodge(t.Context(), client, asked)
	must(t, err)
	if _, err := uuid.Parse(c.ID); err != nil || c.Issuer != issuer.URL || c.ClientID != tpp || c.Kind != "account-access" ||
		c.Status != fapi.ConsentAwaiting || c.Customer != "" || !c.ExpiresAt.Equal(asked.ExpiresAt) ||
		!c.TransactionFrom.Equal(asked.TransactionFrom) || !c.TransactionTo.Equal(asked.TransactionTo) {
		t.Errorf("stored is %+v", c)
	}
	d.store.down = true
	if _, err := d.service.Lodge(t.Context(), client, asked); !errors.Is(err, fapi.ErrUnavailable) {
		t.Errorf("without database: %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{good, `{}`, `null`, `{"Data":{},"Risk":{}}`, `{"Data":{"Permissions":["a"],"Permissions":[]},"Risk":{}}`,
		`{"Data":{"Permissions":null},"Risk":{}}`, `{"Data":{"Permissions":["a"],"ExpirationDateTime":"2030-01-01T00:00:00Z"},"Risk":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := consent.ParseRequest(body)
		dates := []time.Time{q.ExpiresAt, q.TransactionFrom, q.TransactionTo}
		if err != nil && (q.Permissions != nil || slices.ContainsFunc(dates, func(t time.Time) bool { return !t.IsZero() })) {
			t.Errorf("%v, and still %+v", err, q)
		}
		for _, at := range dates {
			if _, err := time.Parse(time.RFC3339Nano, at.Format(time.RFC3339Nano)); err != nil {
				t.Errorf("a date that cannot be told again: %v", err)
			}
		}
	})
}

package consent

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// consentAnswer is OBReadConsentResponse1.
type consentAnswer struct {
	Data  consentData    `json:"Data"`
	Risk  struct{}       `json:"Risk"`
	Links links          `json:"Links"`
	Meta  map[string]int `json:"Meta"`
}

type links struct {
	Self string `json:"Self"`
}

type consentData struct {
	ConsentID            string         `json:"ConsentId"`
	Status               string         `json:"Status"`
	StatusReason         []statusReason `json:"StatusReason,omitempty"`
	CreationDateTime     string         `json:"CreationDateTime"`
	StatusUpdateDateTime string         `json:"StatusUpdateDateTime"`
	Permissions          []string       `json:"Permissions"`
	Expiration           string         `json:"ExpirationDateTime,omitempty"`
	TransactionFrom      string         `json:"TransactionFromDateTime,omitempty"`
	TransactionTo        string         `json:"TransactionToDateTime,omitempty"`
}

// describe puts a consent into the words of one version; self is its URL.
func (v *version) describe(c *fapi.Consent, self string, now time.Time) consentAnswer {
	data := consentData{ConsentID: c.ID, Status: v.word(c, now), Permissions: c.Permissions,
		CreationDateTime: date(c.CreatedAt), StatusUpdateDateTime: date(c.UpdatedAt), Expiration: date(c.ExpiresAt),
		TransactionFrom: date(c.TransactionFrom), TransactionTo: date(c.TransactionTo)}
	if v.waiting != nil && c.Decidable(now) && c.Status == fapi.ConsentAwaiting {
		data.StatusReason = []statusReason{*v.waiting}
	}
	return consentAnswer{Data: data, Links: links{Self: self}, Meta: map[string]int{"TotalPages": 1}}
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// errorAnswer is OBErrorResponse1.
type errorAnswer struct {
	Code    string        `json:"Code"`
	ID      string        `json:"Id"`
	Message string        `json:"Message"`
	Errors  []errorDetail `json:"Errors"`
}

type errorDetail struct {
	ErrorCode string `json:"ErrorCode"`
	Message   string `json:"Message"`
	Path      string `json:"Path,omitempty"`
}

// writeError answers a TPP in the words of its version; id is the call's
// interaction id, by which the bank finds what is behind it.
func (v *version) writeError(w http.ResponseWriter, r *http.Request, id string, err error) {
	f := outward(err)
	code := v.codes[f.reason]
	obs.From(r.Context()).Fail(code, err)
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	status := strings.ReplaceAll(http.StatusText(f.status), " ", "")
	wire.WriteJSON(w, f.status, errorAnswer{Code: fmt.Sprintf("%d %s", f.status, status), ID: id,
		Message: "The request was refused.", Errors: []errorDetail{{code, f.message, f.path}}})
}

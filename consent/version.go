package consent

import (
	"time"

	"github.com/procura/procura/internal/fapi"
)

// version is one version of the API: how it calls the inner states and the
// refusals. A state without a word is not shown.
type version struct {
	name string
	// words of the states of a consent.
	words map[fapi.ConsentStatus]string
	// expired is the word for a consent past its ExpirationDateTime; versions
	// without one go on showing its state, and its tokens are dead all the same.
	expired string
	// waiting is the StatusReason of a consent that awaits the customer, if the
	// version has one.
	waiting *statusReason
	codes   map[reason]string
}

// statusReason says why a consent is in its state (4.0).
type statusReason struct {
	Code        string `json:"StatusReasonCode"`
	Description string `json:"StatusReasonDescription"`
}

// versions is the table of outward vocabularies.
var versions = map[string]*version{
	"v3.1": {
		name: "v3.1",
		words: map[fapi.ConsentStatus]string{
			fapi.ConsentAwaiting:   "AwaitingAuthorisation",
			fapi.ConsentAuthorised: "Authorised",
			fapi.ConsentRejected:   "Rejected",
		},
		codes: map[reason]string{
			invalidField:    "UK.OBIE.Field.Invalid",
			invalidDate:     "UK.OBIE.Field.InvalidDate",
			missingField:    "UK.OBIE.Field.Missing",
			unexpectedField: "UK.OBIE.Field.Unexpected",
			invalidHeader:   "UK.OBIE.Header.Invalid",
			invalidStatus:   "UK.OBIE.Resource.InvalidConsentStatus",
			invalidFormat:   "UK.OBIE.Resource.InvalidFormat",
			notFound:        "UK.OBIE.Resource.NotFound",
			unexpected:      "UK.OBIE.UnexpectedError",
		},
	},
	"v4.0": {
		name: "v4.0",
		words: map[fapi.ConsentStatus]string{
			fapi.ConsentAwaiting:   "AWAU",
			fapi.ConsentAuthorised: "AUTH",
			fapi.ConsentRejected:   "RJCT",
		},
		expired: "EXPD",
		waiting: &statusReason{Code: "U036", Description: "The customer has not completed the authorisation."},
		codes: map[reason]string{
			invalidField:    "U002",
			invalidDate:     "U003",
			missingField:    "U004",
			unexpectedField: "U005",
			invalidHeader:   "U006",
			invalidStatus:   "U009",
			invalidFormat:   "U010",
			notFound:        "U011",
			unexpected:      "U000",
		},
	},
}

// word is what the version calls the state of c at now.
func (v *version) word(c *fapi.Consent, now time.Time) string {
	if v.expired != "" && expired(c, now) {
		return v.expired
	}
	return v.words[c.Status]
}

// expired reports whether time alone keeps a consent from being authorised.
func expired(c *fapi.Consent, now time.Time) bool {
	return fapi.ConsentMayMove(c.Status, fapi.ConsentAuthorised) && !c.Decidable(now)
}

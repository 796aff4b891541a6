package consent

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/procura/procura/internal/jose"
)

// Request is what a TPP asks for. The zero value of a date means that none was
// given: access without end, or transactions of all times.
type Request struct {
	Permissions     []string
	ExpiresAt       time.Time
	TransactionFrom time.Time
	TransactionTo   time.Time
}

// ParseRequest reads the body of POST /account-access-consents (OBReadConsent1).
// It refuses what is no JSON, repeated and unknown members, and values of the
// wrong type; it does not judge what is asked for.
func ParseRequest(body []byte) (Request, error) {
	top, err := members(body, "", "Data", "Risk")
	if err != nil {
		return Request{}, err
	}
	if _, err := members(top["Risk"], "Risk"); err != nil {
		return Request{}, err
	}
	data, err := members(top["Data"], "Data", "Permissions", "ExpirationDateTime",
		"TransactionFromDateTime", "TransactionToDateTime")
	if err != nil {
		return Request{}, err
	}
	return parseData(data)
}

func parseData(data map[string]json.RawMessage) (Request, error) {
	var out Request
	if data["Permissions"] == nil {
		return Request{}, refused(missingField, "the member is missing", "Data.Permissions")
	}
	if jose.Decode(data["Permissions"], &out.Permissions) != nil {
		return Request{}, refused(invalidField, "an array of strings is expected", "Data.Permissions")
	}
	for name, at := range map[string]*time.Time{
		"ExpirationDateTime":      &out.ExpiresAt,
		"TransactionFromDateTime": &out.TransactionFrom,
		"TransactionToDateTime":   &out.TransactionTo,
	} {
		if err := parseDate(data[name], at, "Data."+name); err != nil {
			return Request{}, err
		}
	}
	return out, nil
}

// members reads an object that may have the known members and no other; the
// answer never repeats the name of another. The top level also needs them all.
func members(raw json.RawMessage, path string, known ...string) (map[string]json.RawMessage, error) {
	if raw == nil {
		return nil, refused(missingField, "the member is missing", path)
	}
	out := map[string]json.RawMessage{}
	if err := jose.Decode(raw, &out); err != nil {
		return nil, refused(invalidFormat, "a JSON object without repeated members is expected", path).because(err)
	}
	for name := range out {
		if !slices.Contains(known, name) {
			return nil, refused(unexpectedField, "there is a member that the API does not define", path)
		}
	}
	return out, nil
}

// Years that a date may lie in; ours. They keep what is sent apart from the zero
// value, which means that there is no date, and from years of five digits.
const (
	minYear = 1900
	maxYear = 9998
)

// parseDate reads an ISO 8601 date and time with its zone, in microseconds, which
// is what is stored. An absent member leaves at alone.
func parseDate(raw json.RawMessage, at *time.Time, path string) error {
	if raw == nil {
		return nil
	}
	var text string
	if jose.Decode(raw, &text) != nil {
		return refused(invalidField, "a string is expected", path)
	}
	t, err := time.Parse(time.RFC3339, text)
	t = t.UTC()
	if err != nil || t.Year() < minYear || t.Year() > maxYear {
		return refused(invalidDate, "a date and time of our times, with its zone, is expected", path)
	}
	*at = t.Truncate(time.Microsecond)
	return nil
}

// check judges what is asked for: permissions that make sense together, an end
// that lies ahead, and a period that does not end before it begins.
func (q *Request) check(now time.Time) error {
	if err := checkPermissions(q.Permissions); err != nil {
		return err
	}
	q.Permissions = distinct(q.Permissions)
	switch {
	case !q.ExpiresAt.IsZero() && !q.ExpiresAt.After(now):
		return refused(invalidDate, "the date must lie ahead", "Data.ExpirationDateTime")
	case !q.TransactionFrom.IsZero() && !q.TransactionTo.IsZero() && q.TransactionTo.Before(q.TransactionFrom):
		return refused(invalidDate, "the period ends before it begins", "Data.TransactionToDateTime")
	}
	return nil
}

// distinct drops repeats and keeps the order.
func distinct(asked []string) []string {
	var out []string
	for _, p := range asked {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

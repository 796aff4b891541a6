package jose

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// maxDate is 9999-12-31T23:59:59Z; maxAudiences bounds one aud array. Ours.
const (
	maxDate      = 253402300799
	maxAudiences = 10
)

// NumericDate is a point in time in whole seconds (RFC 7519 §2).
type NumericDate int64

// UnmarshalJSON accepts a JSON number from 1970 to 9999 and cuts fractions off;
// it refuses strings, null, negative and infinite values.
func (d *NumericDate) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || len(raw) > 32 || raw[0] < '0' || raw[0] > '9' {
		return fmt.Errorf("not a date: %w", ErrMalformed)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(f >= 0 && f < maxDate+1) {
		return fmt.Errorf("not a date: %w", ErrMalformed)
	}
	*d = NumericDate(f)
	return nil
}

// Time returns the date as a time.
func (d NumericDate) Time() time.Time { return time.Unix(int64(d), 0).UTC() }

// Audience is an aud claim: one string or an array of them (RFC 7519 §4.1.3).
// Single tells which, for rules that allow only the string.
type Audience struct {
	Values []string
	Single bool
}

// Has reports whether the exact value is among the audiences.
func (a Audience) Has(value string) bool { return value != "" && slices.Contains(a.Values, value) }

// UnmarshalJSON accepts a string or an array of one to ten strings.
func (a *Audience) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte(`"`)) {
		s, err := decodeString(raw)
		*a = Audience{Values: []string{s}, Single: true}
		return err
	}
	var members []textMember
	if err := Decode(raw, &members); err != nil {
		return err
	}
	if len(members) == 0 || len(members) > maxAudiences {
		return fmt.Errorf("aud of %d members: %w", len(members), ErrMalformed)
	}
	*a = Audience{Values: make([]string, len(members))}
	for i, m := range members {
		a.Values[i] = string(m)
	}
	return nil
}

// MarshalJSON writes the form that Single names.
func (a Audience) MarshalJSON() ([]byte, error) {
	if a.Single && len(a.Values) == 1 {
		return json.Marshal(a.Values[0])
	}
	return json.Marshal(a.Values)
}

// HalfHash is the value of c_hash, at_hash and s_hash: the left half of the hash
// that alg uses, base64url (OIDC Core §3.3.2.11, FAPI 1 Advanced §5.1.1). Both
// algorithms of ours use SHA-256; for any other it returns "".
func HalfHash(alg, value string) string {
	if alg != ES256 && alg != PS256 {
		return ""
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}

// CertThumbprint is x5t#S256 of a certificate in DER (RFC 8705 §3.1).
func CertThumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

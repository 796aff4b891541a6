package obs

import (
	"regexp"
	"strings"
)

const (
	// redacted replaces what is not written.
	redacted = "[redacted]"
	// maxValue is the longest value that is written in full: nothing that we
	// log on purpose is longer, tokens and request objects are.
	maxValue = 200
	// shortest is the length of the shortest secret below: eyJ and eight more.
	shortest = 11
	// maxCause bounds the text of an error's cause.
	maxCause = 600
)

var (
	// jwtShape is a compact JWS or JWE, or the beginning of one: every JOSE
	// header is a JSON object and so begins with eyJ.
	jwtShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*`)
	// opaqueShape is a candidate for a code, a refresh token or a key in base64;
	// drawn decides. Client ids of UK Open Banking have 22 characters and stay.
	opaqueShape = regexp.MustCompile(`[A-Za-z0-9_+-]{32,}={0,2}`)
	// panShape is a candidate for a card number; luhn decides.
	panShape = regexp.MustCompile(`\b\d{13,19}\b`)
)

// scrub removes secrets from a text that may hold other words as well.
func scrub(s string) string {
	if len(s) < shortest {
		return s // most fields of an event: no expression needs to look
	}
	if strings.Contains(s, "eyJ") {
		s = jwtShape.ReplaceAllString(s, redacted)
	}
	s = opaqueShape.ReplaceAllStringFunc(s, hide(drawn))
	return panShape.ReplaceAllStringFunc(s, hide(luhn))
}

// value is scrub for a single field: what is too long is dropped as a whole.
func value(s string) string {
	if len(s) > maxValue {
		return redacted
	}
	return scrub(s)
}

// causeText is scrub for an error's chain: it is cut, not dropped.
func causeText(err error) string {
	s := scrub(err.Error())
	if len(s) > maxCause {
		return strings.ToValidUTF8(s[:maxCause], "") + "..."
	}
	return s
}

func hide(secret func(string) bool) func(string) string {
	return func(s string) string {
		if secret(s) {
			return redacted
		}
		return s
	}
}

// drawn reports whether s looks drawn at random: upper case, lower case and
// digits mixed. UUIDs, host names and hexadecimal digests are not, and stay.
func drawn(s string) bool {
	return strings.ContainsAny(s, "0123456789") &&
		strings.ToLower(s) != s && strings.ToUpper(s) != s
}

// luhn reports whether digits carry the check digit of a card number.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}

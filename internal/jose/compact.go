package jose

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"

	"github.com/procura/procura/internal/fapi"
)

// base64url is RFC 7515 §2 without padding; Strict refuses bits that no encoder
// sets, so that one object has one spelling.
var base64url = base64.RawURLEncoding.Strict()

// Header is the part of a JOSE header that we act upon. Everything else in it,
// jwk, jku, x5u and x5c among them, is ignored (RFC 8725 §3.10).
type Header struct {
	Alg, KID, Typ, Cty, Enc string
}

// HasTyp reports whether the header's typ is the media type want, compared as
// RFC 7515 §4.1.9 says: without regard to case and to a leading "application/".
func (h Header) HasTyp(want string) bool {
	const prefix = "application/"
	got := h.Typ
	if len(got) > len(prefix) && strings.EqualFold(got[:len(prefix)], prefix) {
		got = got[len(prefix):]
	}
	return strings.EqualFold(got, want)
}

// IsJWE reports whether the object has the five parts of an encrypted one.
func IsJWE(compact string) bool { return strings.Count(compact, ".") == 4 }

// ParseHeader reads the header of a JWS or JWE in compact serialisation without
// looking at the rest. It refuses what the package comment lists, save
// algorithms: those are Verify's and Decrypt's to judge.
func ParseHeader(compact string) (Header, error) {
	parts, err := split(compact)
	if err != nil {
		return Header{}, err
	}
	return readHeader(parts[0], len(parts) == 5)
}

// Payload returns the payload of a JWS whose signature nobody has checked yet.
// It serves only to find out who claims to speak.
func Payload(compact string) ([]byte, error) {
	_, parts, err := parseJWS(compact)
	if err != nil {
		return nil, err
	}
	return decodePart(parts[1])
}

// parseJWS splits a signed object and reads its header. Payload and signature
// must be there: no detached content (RFC 7515 App. F), no bare alg none.
func parseJWS(compact string) (Header, []string, error) {
	parts, err := split(compact)
	if err != nil {
		return Header{}, nil, err
	}
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return Header{}, nil, fmt.Errorf("not a signed object: %w", ErrMalformed)
	}
	h, err := readHeader(parts[0], false)
	return h, parts, err
}

// split checks size and alphabet before anything is parsed (RFC 8725bis §3.14)
// and returns the three parts of a JWS or the five of a JWE.
func split(compact string) ([]string, error) {
	if len(compact) > fapi.MaxJWE {
		return nil, fmt.Errorf("too large: %w", ErrMalformed)
	}
	dots := 0
	for i := range len(compact) {
		switch c := compact[i]; {
		case c == '.':
			dots++
		case !isBase64URL(c):
			return nil, fmt.Errorf("character outside base64url: %w", ErrMalformed)
		}
	}
	if dots != 2 && dots != 4 {
		return nil, fmt.Errorf("neither three nor five parts: %w", ErrMalformed)
	}
	if dots == 2 && len(compact) > fapi.MaxJWT {
		return nil, fmt.Errorf("too large: %w", ErrMalformed)
	}
	return strings.Split(compact, "."), nil
}

func isBase64URL(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func decodePart(part string) ([]byte, error) {
	raw, err := base64url.DecodeString(part)
	if err != nil {
		return nil, fmt.Errorf("decoding base64url: %w", ErrMalformed)
	}
	return raw, nil
}

// headerMembers are the names that decide; the rest is dropped while decoding.
type headerMembers struct {
	Alg  textMember `json:"alg"`
	KID  textMember `json:"kid"`
	Typ  textMember `json:"typ"`
	Cty  textMember `json:"cty"`
	Enc  textMember `json:"enc"`
	Crit present    `json:"crit"`
	B64  present    `json:"b64"`
	Zip  present    `json:"zip"`
}

// readHeader decodes one protected header. crit is refused whatever it lists,
// because we understand no extension (RFC 7515 §4.1.11); b64 (RFC 7797) and zip
// (RFC 8725bis §3.13) are refused by name.
func readHeader(part string, encrypted bool) (Header, error) {
	raw, err := decodePart(part)
	if err != nil {
		return Header{}, err
	}
	var m headerMembers
	if err := Decode(raw, &m); err != nil {
		return Header{}, fmt.Errorf("reading header: %w", err)
	}
	switch {
	case bool(m.Crit || m.B64 || m.Zip):
		return Header{}, fmt.Errorf("crit, b64 or zip in header: %w", ErrMalformed)
	case m.Alg == "" || encrypted != (m.Enc != ""):
		return Header{}, fmt.Errorf("alg or enc missing or misplaced: %w", ErrMalformed)
	case !plausibleKID(string(m.KID)):
		return Header{}, fmt.Errorf("kid too long or not printable: %w", ErrMalformed)
	}
	return Header{Alg: string(m.Alg), KID: string(m.KID), Typ: string(m.Typ),
		Cty: string(m.Cty), Enc: string(m.Enc)}, nil
}

// plausibleKID bounds what is looked up and logged (RFC 8725 §3.10); a kid is
// never more than a map key.
func plausibleKID(kid string) bool {
	return len(kid) <= maxKID && strings.IndexFunc(kid, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// textMember is a JSON string and nothing else, null included.
type textMember string

// UnmarshalJSON refuses every value that is not a string.
func (t *textMember) UnmarshalJSON(raw []byte) error {
	s, err := decodeString(raw)
	*t = textMember(s)
	return err
}

// present notes that a name occurs, whatever its value.
type present bool

// UnmarshalJSON accepts any value.
func (p *present) UnmarshalJSON([]byte) error {
	*p = true
	return nil
}

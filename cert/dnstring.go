package cert

import (
	"encoding/asn1"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Tags of the string types of X.520 that encoding/asn1 does not name.
const (
	tagVisibleString   = 26
	tagUniversalString = 28
)

// decodeText returns the text of a DER value of a string type. T61String is read
// as ASCII and given up beyond: its other characters have no agreed meaning. A
// value that does not decode is no text, and equal only to the same bytes.
func decodeText(der []byte) (string, bool) {
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 {
		return "", false
	}
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String:
		return string(v.Bytes), utf8.Valid(v.Bytes)
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, asn1.TagT61String, tagVisibleString:
		return string(v.Bytes), isASCII(v.Bytes)
	case asn1.TagBMPString:
		return decodeBMP(v.Bytes)
	case tagUniversalString:
		return decodeUniversal(v.Bytes)
	}
	return "", false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func decodeBMP(b []byte) (string, bool) {
	if len(b)%2 != 0 {
		return "", false
	}
	var out strings.Builder
	for ; len(b) > 0; b = b[2:] {
		r := rune(binary.BigEndian.Uint16(b))
		if utf16.IsSurrogate(r) { // UCS-2 has none
			return "", false
		}
		out.WriteRune(r)
	}
	return out.String(), true
}

func decodeUniversal(b []byte) (string, bool) {
	if len(b)%4 != 0 {
		return "", false
	}
	var out strings.Builder
	for ; len(b) > 0; b = b[4:] {
		n := binary.BigEndian.Uint32(b)
		if n > unicode.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		out.WriteRune(rune(n))
	}
	return out.String(), true
}

// hasPlainText is false for a text with control characters: where one parser sees
// an end or nothing at all and another a letter, no two texts are the same.
func hasPlainText(text string) bool {
	return strings.Trim(text, " ") != "" && !strings.ContainsFunc(text, unicode.IsControl)
}

// fold brings a text into the form in which caseIgnoreMatch compares it (RFC 4518
// §2.2, §2.6): one case, and single spaces between words.
func fold(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.Is(unicode.Zs, r) })
	return strings.Map(smallest, strings.Join(words, " "))
}

// smallest is the first of the letters that differ in case only.
func smallest(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

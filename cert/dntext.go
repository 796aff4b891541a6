package cert

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDN bounds the text of a registered name: ours.
const maxDN = 4 << 10

// attributeNames are the short names that registrations use, in lower case: RFC
// 4514 §3, RFC 4519, EN 319 412-1 for organizationIdentifier, and what openssl
// and Java print.
var attributeNames = map[string]string{
	"cn": "2.5.4.3", "commonname": "2.5.4.3",
	"sn": "2.5.4.4", "surname": "2.5.4.4",
	"serialnumber": "2.5.4.5",
	"c":            "2.5.4.6", "countryname": "2.5.4.6",
	"l": "2.5.4.7", "localityname": "2.5.4.7",
	"st": "2.5.4.8", "s": "2.5.4.8", "stateorprovincename": "2.5.4.8",
	"street": "2.5.4.9", "streetaddress": "2.5.4.9",
	"o": "2.5.4.10", "organizationname": "2.5.4.10",
	"ou": "2.5.4.11", "organizationalunitname": "2.5.4.11",
	"title": "2.5.4.12", "t": "2.5.4.12",
	"description":      "2.5.4.13",
	"businesscategory": "2.5.4.15",
	"postaladdress":    "2.5.4.16",
	"postalcode":       "2.5.4.17",
	"telephonenumber":  "2.5.4.20",
	"name":             "2.5.4.41",
	"givenname":        "2.5.4.42", "gn": "2.5.4.42",
	"initials":               "2.5.4.43",
	"generationqualifier":    "2.5.4.44",
	"dnqualifier":            "2.5.4.46",
	"pseudonym":              "2.5.4.65",
	"organizationidentifier": "2.5.4.97",
	"uid":                    "0.9.2342.19200300.100.1.1", "userid": "0.9.2342.19200300.100.1.1",
	"dc": "0.9.2342.19200300.100.1.25", "domaincomponent": "0.9.2342.19200300.100.1.25",
	"emailaddress": "1.2.840.113549.1.9.1", "e": "1.2.840.113549.1.9.1",
	"jurisdictionlocalityname":        "1.3.6.1.4.1.311.60.2.1.1",
	"jurisdictionstateorprovincename": "1.3.6.1.4.1.311.60.2.1.2",
	"jurisdictioncountryname":         "1.3.6.1.4.1.311.60.2.1.3",
	"jurisdictionc":                   "1.3.6.1.4.1.311.60.2.1.3",
}

// printedNames is what String writes (RFC 4514 §3); other types appear as numbers.
var printedNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
	"2.5.4.6": "C", "2.5.4.9": "STREET", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// ParseDN reads the text of a name by RFC 4514 §3, leniently in one point: spaces
// around separators are skipped, as RFC 2253 §4 asked for. Attribute types are
// names or numbers (also with Java's "OID."), values text or #hex of their DER.
func ParseDN(text string) (DN, error) {
	if len(text) > maxDN || !utf8.ValidString(text) {
		return DN{}, errors.New("the name is too long or not UTF-8")
	}
	p := &dnParser{rest: text}
	d := DN{}
	for {
		r, more, err := p.rdn()
		if err != nil {
			return DN{}, err
		}
		d.rdns = append(d.rdns, r)
		if len(d.rdns) > maxRDNs {
			return DN{}, errors.New("the name has too many parts")
		}
		if !more {
			slices.Reverse(d.rdns)
			return d, nil
		}
	}
}

type dnParser struct {
	rest string
}

// rdn reads up to a comma, which says that more follows, or to the end.
func (p *dnParser) rdn() (rdn, bool, error) {
	var r rdn
	for {
		a, err := p.attribute()
		if err != nil {
			return nil, false, err
		}
		r = append(r, a)
		if len(r) > maxRDNs {
			return nil, false, errors.New("a part has too many attributes")
		}
		if p.rest == "" {
			return r, false, nil
		}
		separator := p.rest[0]
		p.rest = p.rest[1:]
		if separator == ',' {
			return r, true, nil
		}
	}
}

func (p *dnParser) attribute() (attribute, error) {
	name, rest, found := strings.Cut(p.rest, "=")
	if !found {
		return attribute{}, errors.New("an attribute has no =")
	}
	oid, err := attributeType(strings.Trim(name, " "))
	if err != nil {
		return attribute{}, err
	}
	p.rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(p.rest, "#") {
		der, err := p.hexValue()
		return attribute{oid: oid, der: der}.decoded(), err
	}
	value, err := p.textValue()
	return attribute{oid: oid, isText: true, text: value}, err
}

func attributeType(name string) (string, error) {
	if len(name) > 4 && strings.EqualFold(name[:4], "oid.") {
		name = name[4:]
	}
	if oid, ok := attributeNames[lower(name)]; ok {
		return oid, nil
	}
	if parsed := parseOID(name); len(parsed) > 1 && parsed.String() == name {
		return name, nil
	}
	return "", fmt.Errorf("attribute type %q is not known: write its number", name)
}

// parseOID returns nil for what is not a dotted number.
func parseOID(text string) asn1.ObjectIdentifier {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 {
			return nil
		}
		oid = append(oid, int(n))
	}
	return oid
}

// hexValue reads #hex: the DER of exactly one value.
func (p *dnParser) hexValue() ([]byte, error) {
	end := strings.IndexAny(p.rest, ",+")
	if end < 0 {
		end = len(p.rest)
	}
	der, err := hex.DecodeString(strings.TrimRight(p.rest[1:end], " "))
	p.rest = p.rest[end:]
	if err != nil {
		return nil, errors.New("a # value is not hexadecimal")
	}
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 {
		return nil, errors.New("a # value is not the DER of one value")
	}
	return der, nil
}

// textValue reads to an unescaped separator. Unescaped spaces at the end go.
func (p *dnParser) textValue() (string, error) {
	var out []byte
	kept := 0 // up to here nothing is an unescaped space at the end
	for p.rest != "" && p.rest[0] != ',' && p.rest[0] != '+' {
		b := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case b == '\\':
			escaped, err := p.escape()
			if err != nil {
				return "", err
			}
			out = append(out, escaped)
			kept = len(out)
			continue
		case strings.IndexByte("\"<>;\x00", b) >= 0:
			return "", errors.New("a value holds a character that must be escaped")
		}
		out = append(out, b)
		if b != ' ' {
			kept = len(out)
		}
	}
	if !utf8.Valid(out[:kept]) {
		return "", errors.New("a value is not UTF-8")
	}
	return string(out[:kept]), nil
}

// escape reads what follows a backslash (RFC 4514 §3 pair).
func (p *dnParser) escape() (byte, error) {
	if p.rest != "" && strings.IndexByte("\\\"+,;<> #=", p.rest[0]) >= 0 {
		b := p.rest[0]
		p.rest = p.rest[1:]
		return b, nil
	}
	if len(p.rest) >= 2 {
		if b, err := hex.DecodeString(p.rest[:2]); err == nil {
			p.rest = p.rest[2:]
			return b[0], nil
		}
	}
	return 0, errors.New("a backslash escapes nothing that needs it")
}

// String writes one attribute by RFC 4514 §2.3 and §2.4.
func (a attribute) String() string {
	name, known := printedNames[a.oid]
	if !known {
		name = a.oid
	}
	if !a.isText {
		return name + "=#" + hex.EncodeToString(a.der)
	}
	return name + "=" + escapeText(a.text)
}

func escapeText(text string) string {
	var out strings.Builder
	for i, r := range text {
		edge := i == 0 || i == len(text)-1
		switch {
		case strings.ContainsRune("\\\"+,;<>", r), r == ' ' && edge, r == '#' && i == 0:
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&out, "\\%02x", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

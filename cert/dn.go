package cert

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
)

// maxRDNs bounds the parts of a name: ours.
const maxRDNs = 64

// DN is a distinguished name in the order of the certificate: the RDN that the
// RFC 4514 text shows last comes first. Its values compare as distinguishedNameMatch
// does (RFC 4517 §4.2.15): RDN by RDN in order, within an RDN as a set, a text
// without regard to its ASN.1 string type, case and runs of spaces, everything
// else by its encoding. Stricter than LDAP: a text with control characters equals
// nothing, and letters are not brought into a normal form first.
type DN struct {
	rdns []rdn
}

type rdn []attribute

// attribute is one type and value. A value of a string type has text, any other
// only its encoding.
type attribute struct {
	oid    string
	isText bool
	text   string
	der    []byte
}

// ReadDN reads the DER of a Name, such as a certificate's RawSubject.
func ReadDN(der []byte) (DN, error) {
	var sets []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &sets); err != nil || len(rest) > 0 {
		return DN{}, errors.New("the name does not parse")
	}
	if len(sets) > maxRDNs {
		return DN{}, errors.New("the name is too long")
	}
	var d DN
	for _, set := range sets {
		r, err := readRDN(set.FullBytes)
		if err != nil {
			return DN{}, err
		}
		d.rdns = append(d.rdns, r)
	}
	return d, nil
}

func readRDN(der []byte) (rdn, error) {
	var pairs []struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	rest, err := asn1.UnmarshalWithParams(der, &pairs, "set")
	if err != nil || len(rest) > 0 || len(pairs) == 0 || len(pairs) > maxRDNs {
		return nil, errors.New("a part of the name does not parse")
	}
	var r rdn
	for _, pair := range pairs {
		r = append(r, attribute{oid: pair.Type.String(), der: pair.Value.FullBytes}.decoded())
	}
	return r, nil
}

// decoded fills text from der where der is a string type that we know.
func (a attribute) decoded() attribute {
	a.text, a.isText = decodeText(a.der)
	return a
}

// Equal reports whether both name the same; an empty name equals nothing.
func (d DN) Equal(other DN) bool {
	return len(d.rdns) > 0 && slices.EqualFunc(d.rdns, other.rdns, rdn.equal)
}

// equal pairs off the attributes in any order.
func (r rdn) equal(other rdn) bool {
	if len(r) != len(other) {
		return false
	}
	rest := slices.Clone(other)
	for _, a := range r {
		i := slices.IndexFunc(rest, a.equal)
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
}

func (a attribute) equal(other attribute) bool {
	switch {
	case a.oid != other.oid || a.isText != other.isText:
		return false
	case !a.isText:
		return len(a.der) > 0 && bytes.Equal(a.der, other.der)
	}
	return hasPlainText(a.text) && hasPlainText(other.text) && fold(a.text) == fold(other.text)
}

// RDNSequence returns the name for encoding into a certificate.
func (d DN) RDNSequence() pkix.RDNSequence {
	var seq pkix.RDNSequence
	for _, r := range d.rdns {
		var set pkix.RelativeDistinguishedNameSET
		for _, a := range r {
			set = append(set, pkix.AttributeTypeAndValue{Type: parseOID(a.oid), Value: a.value()})
		}
		seq = append(seq, set)
	}
	return seq
}

func (a attribute) value() any {
	if a.isText {
		return a.text
	}
	return asn1.RawValue{FullBytes: a.der}
}

// String returns the name as RFC 4514 text; ParseDN reads it back to an equal name.
func (d DN) String() string {
	parts := make([]string, 0, len(d.rdns))
	for _, r := range slices.Backward(d.rdns) {
		pairs := make([]string, 0, len(r))
		for _, a := range r {
			pairs = append(pairs, a.String())
		}
		parts = append(parts, strings.Join(pairs, "+"))
	}
	return strings.Join(parts, ",")
}

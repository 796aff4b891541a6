package cert

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/procura/procura/internal/fapi"
)

// Kinds of general names (RFC 5280 §4.2.1.6).
const (
	nameEmail = 1
	nameDNS   = 2
	nameURI   = 6
	nameIP    = 7
)

// identity is the one registered way to know a client's certificate.
type identity struct {
	wire  string // name of the metadata member
	value string
	match func(registered string, leaf *x509.Certificate) error
}

func identities(c *fapi.Client) []identity {
	var set []identity
	for _, id := range []identity{
		{"tls_client_auth_subject_dn", c.TLSSubjectDN, matchSubject},
		{"tls_client_auth_san_dns", c.TLSSANDNS, matchDNS},
		{"tls_client_auth_san_uri", c.TLSSANURI, matchURI},
		{"tls_client_auth_san_ip", c.TLSSANIP, matchIP},
		{"tls_client_auth_san_email", c.TLSSANEmail, matchEmail},
	} {
		if id.value != "" {
			set = append(set, id)
		}
	}
	return set
}

// Registers reports whether c's registration says which certificate is its own:
// it must for tls_client_auth and may for every other method.
func Registers(c *fapi.Client) bool { return len(identities(c)) > 0 }

// CheckRegistration refuses a registration that names no certificate or more than
// one (RFC 8705 §2.1.2, MT-04), or a name that no certificate could match.
func CheckRegistration(c *fapi.Client) error {
	set := identities(c)
	switch {
	case len(set) == 0:
		return errors.New("no tls_client_auth_* member names the client's certificate")
	case len(set) > 1:
		return errors.New("only one tls_client_auth_* member is allowed: found " + set[0].wire + " and " + set[1].wire)
	}
	var err error
	switch set[0].wire {
	case "tls_client_auth_subject_dn":
		_, err = ParseDN(set[0].value)
	case "tls_client_auth_san_ip":
		_, err = parseIP(set[0].value)
	}
	if err != nil {
		return errors.New(set[0].wire + ": " + err.Error())
	}
	return nil
}

// MatchClient returns nil when leaf carries the one name that c registered (RFC
// 8705 §2.1.2, MT-05 to MT-09), and a *Refusal otherwise. It does not ask whether
// leaf is to be trusted: see Validator.
func MatchClient(c *fapi.Client, leaf *x509.Certificate) error {
	if leaf == nil {
		return refuse(ReasonMissing, "")
	}
	if err := CheckRegistration(c); err != nil {
		return refuse(ReasonClientMismatch, "registration: "+err.Error())
	}
	id := identities(c)[0]
	if err := id.match(id.value, leaf); err != nil {
		return refuse(ReasonClientMismatch, id.wire+": "+err.Error())
	}
	return nil
}

// matchSubject: MT-05.
func matchSubject(registered string, leaf *x509.Certificate) error {
	want, err := ParseDN(registered)
	if err != nil {
		return err
	}
	got, err := ReadDN(leaf.RawSubject)
	if err != nil {
		return err
	}
	if !want.Equal(got) {
		return errors.New("the certificate's subject is " + got.String())
	}
	return nil
}

// matchDNS: MT-06. ASCII case-insensitive, no wildcard, never the common name.
func matchDNS(registered string, leaf *x509.Certificate) error {
	return matchName(leaf, nameDNS, func(entry []byte) bool { return lower(string(entry)) == lower(registered) })
}

// matchURI: MT-07. The exact string.
func matchURI(registered string, leaf *x509.Certificate) error {
	return matchName(leaf, nameURI, func(entry []byte) bool { return string(entry) == registered })
}

// matchIP: MT-08. Binary; an IPv4 address and its form within IPv6 differ.
func matchIP(registered string, leaf *x509.Certificate) error {
	want, err := parseIP(registered)
	if err != nil {
		return err
	}
	return matchName(leaf, nameIP, func(entry []byte) bool { return bytes.Equal(entry, want.AsSlice()) })
}

func parseIP(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, errors.New("not an IP address")
	}
	return ip, nil
}

// matchEmail: MT-09. The local part exactly, the domain ASCII case-insensitive.
func matchEmail(registered string, leaf *x509.Certificate) error {
	want := foldDomain(registered)
	return matchName(leaf, nameEmail, func(entry []byte) bool { return foldDomain(string(entry)) == want })
}

func foldDomain(mail string) string {
	at := strings.LastIndexByte(mail, '@')
	return mail[:at+1] + lower(mail[at+1:])
}

// lower folds ASCII alone: other letters that look alike stay different.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// matchName asks every subject alternative name of one kind. It reads the
// extension itself: the standard library normalises URIs.
func matchName(leaf *x509.Certificate, kind uint8, equal func([]byte) bool) error {
	raw, ok := extension(leaf, oidSubjectAlt())
	if !ok {
		return errors.New("the certificate has no subject alternative names")
	}
	input := cryptobyte.String(raw)
	var names cryptobyte.String
	if !input.ReadASN1(&names, asn1.SEQUENCE) || !input.Empty() {
		return errors.New("the subject alternative names do not parse")
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return errors.New("the subject alternative names do not parse")
		}
		if tag == asn1.Tag(kind).ContextSpecific() && equal(name) {
			return nil
		}
	}
	return errors.New("no subject alternative name of this kind equals the registered one")
}

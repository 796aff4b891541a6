package cert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/fapi"
)

// atv is one attribute of a hand-made name: its type, string tag and bytes.
type atv struct {
	oid   asn1.ObjectIdentifier
	tag   int
	bytes string
}

var (
	oidCN    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidC     = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidOrgID = asn1.ObjectIdentifier{2, 5, 4, 97}
)

func utf8(oid asn1.ObjectIdentifier, s string) atv { return atv{oid, asn1.TagUTF8String, s} }
func prin(oid asn1.ObjectIdentifier, s string) atv { return atv{oid, asn1.TagPrintableString, s} }
func t61(oid asn1.ObjectIdentifier, s string) atv  { return atv{oid, asn1.TagT61String, s} }
func bmp(oid asn1.ObjectIdentifier, s string) atv {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return atv{oid, asn1.TagBMPString, string(b)}
}
func universal(oid asn1.ObjectIdentifier, s string) atv {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
	}
	return atv{oid, 28, string(b)}
}

// name encodes RDNs in the order of the certificate.
func name(rdns ...[]atv) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				for _, a := range rdn {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(a.oid)
						b.AddASN1(cbasn1.Tag(a.tag), func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.bytes)) })
					})
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func one(a atv) []atv { return []atv{a} }

// MT-05, attack 47.
func TestMatchSubject(t *testing.T) {
	plain := name(one(prin(oidC, "GB")), one(utf8(oidO, "TPP Ltd")), one(utf8(oidCN, "tpp-1")))
	psd2 := name(one(prin(oidC, "GB")), one(utf8(oidO, "TPP Ltd")), one(utf8(oidOrgID, "PSDGB-FCA-123456")), one(utf8(oidCN, "tpp-1")))
	multi := name(one(prin(oidC, "GB")), []atv{utf8(oidO, "TPP Ltd"), utf8(oidOU, "Pay")}, one(utf8(oidCN, "tpp-1")))
	for _, tc := range []struct {
		name       string
		registered string
		subject    []byte
		match      bool
	}{
		{"RFC 4514 order", "CN=tpp-1,O=TPP Ltd,C=GB", plain, true},
		{"spaces around separators (RFC 2253 4)", "CN = tpp-1 , O = TPP Ltd,  C=GB ", plain, true},
		{"certificate's own order", "C=GB,O=TPP Ltd,CN=tpp-1", plain, false},
		{"two RDNs swapped", "O=TPP Ltd,CN=tpp-1,C=GB", plain, false},
		{"case of type and value", "cn=TPP-1,o=tpp ltd,c=gb", plain, true},
		{"runs of spaces", "CN=tpp-1,O=TPP   Ltd,C=GB", plain, true},
		{"numbers for names", "2.5.4.3=tpp-1,OID.2.5.4.10=TPP Ltd,2.5.4.6=GB", plain, true},
		{"number not canonical", "2.5.04.3=tpp-1,O=TPP Ltd,C=GB", plain, false},
		{"extra OU registered", "CN=tpp-1,OU=x,O=TPP Ltd,C=GB", plain, false},
		{"extra OU in the certificate", "CN=tpp-1,O=TPP Ltd,C=GB",
			name(one(prin(oidC, "GB")), one(utf8(oidO, "TPP Ltd")), one(utf8(oidOU, "x")), one(utf8(oidCN, "tpp-1"))), false},
		{"extra CN in the certificate", "CN=tpp-1,O=TPP Ltd,C=GB",
			name(one(prin(oidC, "GB")), one(utf8(oidO, "TPP Ltd")), one(utf8(oidCN, "evil")), one(utf8(oidCN, "tpp-1"))), false},
		{"prefix", "CN=tpp-1,O=TPP Ltd", plain, false},
		{"prefix of a value", "CN=tpp,O=TPP Ltd,C=GB", plain, false},

		{"organizationIdentifier by name", "CN=tpp-1,organizationIdentifier=PSDGB-FCA-123456,O=TPP Ltd,C=GB", psd2, true},
		{"organizationIdentifier by number", "CN=tpp-1,2.5.4.97=PSDGB-FCA-123456,O=TPP Ltd,C=GB", psd2, true},
		{"organizationIdentifier by DER", "CN=tpp-1,2.5.4.97=#0c1050534447422d4643412d313233343536,O=TPP Ltd,C=GB", psd2, true},
		{"DER of another string type", "CN=tpp-1,2.5.4.97=#131050534447422d4643412d313233343536,O=TPP Ltd,C=GB", psd2, true},
		{"another organizationIdentifier", "CN=tpp-1,organizationIdentifier=PSDGB-FCA-123457,O=TPP Ltd,C=GB", psd2, false},
		{"moved to the end, as Go prints it", "CN=tpp-1,O=TPP Ltd,C=GB,2.5.4.97=#0c1050534447422d4643412d313233343536", psd2, false},

		{"multi-valued", "CN=tpp-1,O=TPP Ltd+OU=Pay,C=GB", multi, true},
		{"multi-valued, other order within", "CN=tpp-1,OU=Pay + O=TPP Ltd,C=GB", multi, true},
		{"multi-valued registered as two", "CN=tpp-1,OU=Pay,O=TPP Ltd,C=GB", multi, false},
		{"two registered as multi-valued", "CN=tpp-1+O=TPP Ltd,C=GB", plain, false},
		{"doubled within a set", "CN=tpp-1,O=TPP Ltd+O=TPP Ltd,C=GB", multi, false},

		{"escaped comma is one value", `CN=a\,O=b,C=GB`, name(one(prin(oidC, "GB")), one(utf8(oidCN, "a,O=b"))), true},
		{"escaped comma is not two values", `CN=a\,O=b,C=GB`, name(one(prin(oidC, "GB")), one(utf8(oidO, "b")), one(utf8(oidCN, "a"))), false},
		{"two values are not an escaped comma", `CN=a,O=b,C=GB`, name(one(prin(oidC, "GB")), one(utf8(oidCN, "a,O=b"))), false},
		{"hex escapes", `CN=\54\50\50\2d1,O=TPP Ltd,C=GB`, plain, true},
		{"all special characters", `CN=\#\"\+\;\<\>\\\=\20x,C=GB`, name(one(prin(oidC, "GB")), one(utf8(oidCN, `#"+;<>\= x`))), true},
		{"escaped space at the end", `CN=tpp-1\ ,O=TPP Ltd,C=GB`, plain, true},

		{"BMPString", "CN=tpp-1,C=GB", name(one(prin(oidC, "GB")), one(bmp(oidCN, "tpp-1"))), true},
		{"UniversalString", "CN=tpp-1,C=GB", name(one(prin(oidC, "GB")), one(universal(oidCN, "tpp-1"))), true},
		{"PrintableString", "CN=tpp-1,C=GB", name(one(prin(oidC, "GB")), one(prin(oidCN, "tpp-1"))), true},
		{"T61String in ASCII", "CN=tpp-1,C=GB", name(one(prin(oidC, "GB")), one(t61(oidCN, "tpp-1"))), true},
		{"T61String beyond ASCII", "CN=M\u00fcller", name(one(t61(oidCN, "M\xfcller"))), false},
		{"umlaut as UTF8String", "CN=M\u00fcller", name(one(utf8(oidCN, "M\u00fcller"))), true},
		{"umlaut as BMPString, other case", "CN=M\u00dcLLER", name(one(bmp(oidCN, "M\u00fcller"))), true},
		{"umlaut by hex escapes", `CN=M\c3\bcller`, name(one(utf8(oidCN, "M\u00fcller"))), true},
		{"combining form is another text", "CN=Mu\u0308ller", name(one(utf8(oidCN, "M\u00fcller"))), false},
		{"look-alike letter", "CN=tpp-1,C=GB", name(one(prin(oidC, "GB")), one(utf8(oidCN, "t\u0440p-1"))), false},
		{"BMPString of odd length", "CN=tpp-1", name(one(atv{oidCN, asn1.TagBMPString, "\x00t\x00"})), false},
		{"surrogates in a BMPString", "CN=tpp-1", name(one(bmp(oidCN, "\U0001f600"))), false},

		{"NUL in the certificate", "CN=tpp-1", name(one(utf8(oidCN, "tpp-1\x00.evil"))), false},
		{"NUL on both sides", `CN=tpp-1\00.evil`, name(one(utf8(oidCN, "tpp-1\x00.evil"))), false},
		{"NUL at the end", "CN=tpp-1", name(one(utf8(oidCN, "tpp-1\x00"))), false},
		{"line feed on both sides", `CN=tpp\0a1`, name(one(utf8(oidCN, "tpp\n1"))), false},
		{"value of spaces on both sides", `CN=\ `, name(one(utf8(oidCN, "  "))), false},
		{"empty value on both sides", `CN=`, name(one(utf8(oidCN, ""))), false},
		{"integer value", "CN=1", name(one(atv{oidCN, asn1.TagInteger, "\x01"})), false},
		{"integer value by DER", "CN=#020101", name(one(atv{oidCN, asn1.TagInteger, "\x01"})), true},

		{"empty subject", "CN=tpp-1", name(), false},
		{"subject is not DER", "CN=tpp-1", []byte("CN=tpp-1"), false},
		{"bytes behind the subject", "CN=tpp-1,O=TPP Ltd,C=GB", append(plain[:len(plain):len(plain)], 5, 0), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &fapi.Client{TLSSubjectDN: tc.registered}
			want := ""
			if !tc.match {
				want = cert.ReasonClientMismatch
			}
			wantReason(t, cert.MatchClient(c, &x509.Certificate{RawSubject: tc.subject}), want)
		})
	}
}

func TestParseDNRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"no equals sign":    "tpp-1",
		"unknown type":      "Foo=x",
		"empty type":        "=x",
		"empty part":        "CN=x,,C=GB",
		"comma at the end":  "CN=x,",
		"plus at the end":   "CN=x+",
		"semicolon":         "CN=x;C=GB",
		"quotes":            `O="TPP, Ltd"`,
		"slash form":        "/C=GB/CN=x",
		"lone backslash":    `CN=x\`,
		"backslash letter":  `CN=\x`,
		"half a pair":       `CN=\4`,
		"raw NUL":           "CN=a\x00b",
		"not UTF-8":         "CN=\xff",
		"hex of no UTF-8":   `CN=\ff`,
		"odd hex":           "CN=#0c0",
		"hex of no DER":     "CN=#0c05",
		"hex of two values": "CN=#05000500",
		"empty hex":         "CN=#",
		"too long":          "CN=" + strings.Repeat("x", 5000),
		"too many parts":    strings.Repeat("CN=x,", 70) + "CN=x",
	} {
		if _, err := cert.ParseDN(text); err == nil {
			t.Errorf("%s: %q was read", name, text)
		}
	}
}

// MT-06 to MT-09, attack 47, over certificates as a CA issues them.
func TestMatchAlternativeNames(t *testing.T) {
	ca := newCA(t)
	leaf := issue(t, ca, func(c *certtest.Template) {
		c.Subject = "CN=cn.example.com"
		c.DNS = []string{"one.example.com", "*.wild.example.com"}
		c.URIs = []string{"https://tpp.example.com/A%2fb?x=1"}
		c.IPs = []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::1")}
		c.Emails = []string{"Ops@Example.com"}
	}).Cert
	for _, tc := range []struct {
		name   string
		client fapi.Client
		match  bool
	}{
		{"dns", fapi.Client{TLSSANDNS: "one.example.com"}, true},
		{"dns in other case", fapi.Client{TLSSANDNS: "ONE.Example.COM"}, true},
		{"dns under a wildcard", fapi.Client{TLSSANDNS: "a.wild.example.com"}, false},
		{"wildcard registered", fapi.Client{TLSSANDNS: "*.example.com"}, false},
		{"common name is no dns name", fapi.Client{TLSSANDNS: "cn.example.com"}, false},
		{"dns with trailing dot", fapi.Client{TLSSANDNS: "one.example.com."}, false},
		{"Kelvin sign is no k", fapi.Client{TLSSANDNS: "one.example.com\u212a"}, false},
		{"host of the URI is no dns name", fapi.Client{TLSSANDNS: "tpp.example.com"}, false},
		{"uri", fapi.Client{TLSSANURI: "https://tpp.example.com/A%2fb?x=1"}, true},
		{"uri normalised", fapi.Client{TLSSANURI: "https://tpp.example.com/A%2Fb?x=1"}, false},
		{"uri in other case", fapi.Client{TLSSANURI: "https://TPP.example.com/A%2fb?x=1"}, false},
		{"dns name is no uri", fapi.Client{TLSSANURI: "one.example.com"}, false},
		{"ipv4", fapi.Client{TLSSANIP: "192.0.2.7"}, true},
		{"ipv6", fapi.Client{TLSSANIP: "2001:db8::1"}, true},
		{"ipv6 written out", fapi.Client{TLSSANIP: "2001:0DB8:0:0:0:0:0:0001"}, true},
		{"ipv4 within ipv6", fapi.Client{TLSSANIP: "::ffff:192.0.2.7"}, false},
		{"ipv6 with a zone", fapi.Client{TLSSANIP: "2001:db8::1%eth0"}, false},
		{"other ip", fapi.Client{TLSSANIP: "192.0.2.8"}, false},
		{"no ip", fapi.Client{TLSSANIP: "one.example.com"}, false},
		{"email", fapi.Client{TLSSANEmail: "Ops@Example.com"}, true},
		{"email domain in other case", fapi.Client{TLSSANEmail: "Ops@EXAMPLE.com"}, true},
		{"email local part in other case", fapi.Client{TLSSANEmail: "ops@example.com"}, false},
		{"nothing registered", fapi.Client{}, false},
		{"two registered (MT-04)", fapi.Client{TLSSANDNS: "one.example.com", TLSSANIP: "192.0.2.7"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := ""
			if !tc.match {
				want = cert.ReasonClientMismatch
			}
			wantReason(t, cert.MatchClient(&tc.client, leaf), want)
		})
	}
	wantReason(t, cert.MatchClient(&fapi.Client{TLSSANDNS: "one.example.com"}, issue(t, ca).Cert), cert.ReasonClientMismatch)
	wantReason(t, cert.MatchClient(&fapi.Client{TLSSANDNS: "one.example.com"}, nil), cert.ReasonMissing)
}

// A damaged extension ends in a refusal whatever stands before the damage's end.
func TestMatchDamagedAlternativeNames(t *testing.T) {
	good := []byte{0x30, 0x05, 0x82, 0x03, 'a', '.', 'b'}
	for name, tc := range map[string]struct {
		raw   []byte
		match bool
	}{
		"good":             {good, true},
		"bytes behind":     {append(good[:len(good):len(good)], 0), false},
		"cut":              {good[:5], false},
		"empty":            {nil, false},
		"broken first":     {[]byte{0x30, 0x07, 0x82, 0x7f, 0x82, 0x03, 'a', '.', 'b'}, false},
		"constructed name": {[]byte{0x30, 0x05, 0xa2, 0x03, 'a', '.', 'b'}, false},
	} {
		leaf := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: tc.raw}}}
		if err := cert.MatchClient(&fapi.Client{TLSSANDNS: "a.b"}, leaf); (err == nil) != tc.match {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRegistration(t *testing.T) {
	for name, tc := range map[string]struct {
		client fapi.Client
		ok     bool
	}{
		"subject":        {fapi.Client{TLSSubjectDN: "CN=x"}, true},
		"dns":            {fapi.Client{TLSSANDNS: "x.example.com"}, true},
		"none":           {fapi.Client{}, false},
		"two":            {fapi.Client{TLSSubjectDN: "CN=x", TLSSANURI: "urn:x"}, false},
		"broken subject": {fapi.Client{TLSSubjectDN: "/CN=x"}, false},
		"broken ip":      {fapi.Client{TLSSANIP: "1.2.3"}, false},
	} {
		if err := cert.CheckRegistration(&tc.client); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if got := cert.Registers(&tc.client); got != (name != "none") {
			t.Errorf("%s: Registers = %v", name, got)
		}
	}
}

// FuzzMatchSubject: no text makes the parser panic, and what it reads it prints so
// that it reads the same again.
func FuzzMatchSubject(f *testing.F) {
	for _, seed := range []string{
		"CN=tpp-1,O=TPP Ltd,C=GB", `CN=a\,O=b+OU=\20x\ ,2.5.4.97=#0c0161`, "OID.2.5.4.3=x", `CN=\c3\bc`, "CN=#020101", "CN= ,=", `CN=\00`,
	} {
		f.Add(seed)
	}
	subject := name(one(prin(oidC, "GB")), one(utf8(oidO, "TPP Ltd")), one(utf8(oidCN, "tpp-1")))
	f.Fuzz(func(t *testing.T, text string) {
		err := cert.MatchClient(&fapi.Client{TLSSubjectDN: text}, &x509.Certificate{RawSubject: subject})
		d, parseErr := cert.ParseDN(text)
		if parseErr != nil {
			if err == nil {
				t.Fatalf("%q matched without being read", text)
			}
			return
		}
		again, parseErr := cert.ParseDN(d.String())
		if parseErr != nil {
			t.Fatalf("%q printed as %q: %v", text, d, parseErr)
		}
		if d.Equal(d) != d.Equal(again) || again.String() != d.String() {
			t.Fatalf("%q printed as %q, which is another name", text, d)
		}
	})
}

// FuzzReadDN: no subject makes the reader panic, and a readable one prints as text
// that names it.
func FuzzReadDN(f *testing.F) {
	f.Add(name(one(prin(oidC, "GB")), []atv{bmp(oidO, "x"), utf8(oidOU, "a,b")}))
	f.Add(name(one(utf8(oidCN, "x\x00y"))))
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := cert.ReadDN(der)
		if err != nil || !d.Equal(d) || len(d.String()) > 4<<10 {
			return
		}
		again, err := cert.ParseDN(d.String())
		if err != nil {
			t.Fatalf("%x printed as %q: %v", der, d, err)
		}
		if !again.Equal(d) {
			t.Fatalf("%x printed as %q, which is another name", der, d)
		}
	})
}

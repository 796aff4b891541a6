package blackbox_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
)

// showing asks for tokens of a tls_client_auth client with a certificate of any
// kind; the other endpoints must think of it as the token endpoint does.
func showing(t testing.TB, p *party, ca *certtest.CA, change func(*certtest.Template)) *reply {
	t.Helper()
	template := certtest.Client(time.Now(), p.subject())
	change(&template)
	leaf, err := ca.Issue(template)
	if err != nil {
		t.Fatal(err)
	}
	client := house.client(leaf)
	defer client.CloseIdleConnections()
	auth := url.Values{"client_id": {p.id}}
	a := credentialsWith(t, client, auth)
	if a.status != http.StatusOK {
		push := plan{mtls: true, pushed: true}.request(t, p).carrier(t)
		want(t, post(t, client, house.meta.Aliases.PAR, merged(auth, push)), a.String())
		for _, address := range []string{house.meta.Aliases.Introspect, house.meta.Aliases.Revoke} {
			want(t, post(t, client, address, merged(auth, url.Values{"token": {"x"}})), a.String())
		}
	}
	return a
}

func TestAttack46Certificates(t *testing.T) {
	attack(t, 46, "401 invalid_client for the same subject from another CA, for expired, not yet valid, server and CA certificates")
	p := who(t, special(46, "mtls"))
	leavesNothing(t, p)
	same := func(*certtest.Template) {}
	stranger, err := certtest.NewCA(certtest.Options{Name: "Procura Sandbox", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	self := func(c *certtest.Template) { c.Subject = p.subject() }
	want(t, showing(t, p, house.clientCA, same), "200") // MT-17: a new certificate of the same name is as good
	want(t, showing(t, p, stranger, self), invalidClient)
	below, err := house.clientCA.IssueBelow("Procura Sandbox TPP Issuing CA") // what the path length forbids
	if err != nil {
		t.Fatal(err)
	}
	want(t, showing(t, p, below, same), invalidClient)
	for name, change := range map[string]func(*certtest.Template){
		"expired":       func(c *certtest.Template) { c.NotAfter = time.Now().Add(-time.Second) },
		"not yet valid": func(c *certtest.Template) { c.NotBefore = time.Now().Add(time.Hour) },
		"serverAuth":    func(c *certtest.Template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"a CA's":        func(c *certtest.Template) { c.IsCA = true },
		"signs certs":   func(c *certtest.Template) { c.KeyUsage |= x509.KeyUsageCertSign },
		"encrypts":      func(c *certtest.Template) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
		"a weak key":    func(c *certtest.Template) { c.Key = weakRSA(t) },
		"a critical extension": func(c *certtest.Template) {
			c.Extra = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		},
	} {
		if got := showing(t, p, house.clientCA, change); got.String() != invalidClient {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAttack47Names(t *testing.T) {
	attack(t, 47, "a subject matches attribute by attribute in its order, a subject alternative name exactly and of its type; everything else: 401 invalid_client")
	p := who(t, special(47, "dn"))
	named := func(parts ...pkix.AttributeTypeAndValue) func(*certtest.Template) {
		return func(c *certtest.Template) { c.RawSubject = rawName(t, parts...) }
	}
	cn := p.id + ",x"
	org := func(tag int) pkix.AttributeTypeAndValue { return attribute(10, tag, []byte("A=B")) }
	common := func(tag int, text string) pkix.AttributeTypeAndValue { return attribute(3, tag, []byte(text)) }
	const utf8, printable = asn1.TagUTF8String, asn1.TagPrintableString
	for what, c := range map[string]struct {
		change func(*certtest.Template)
		answer string
	}{
		"as registered":  {func(*certtest.Template) {}, "200"},
		"as UTF8String":  {named(org(utf8), common(utf8, cn)), "200"},
		"as Printable":   {named(org(printable), common(printable, cn)), "200"},
		"as BMPString":   {named(org(utf8), attribute(3, asn1.TagBMPString, bmp(cn))), "200"},
		"reordered":      {named(common(utf8, cn), org(utf8)), invalidClient},
		"one less":       {named(common(utf8, cn)), invalidClient},
		"one more":       {func(c *certtest.Template) { c.Subject = p.subject() + ",OU=x" }, invalidClient},
		"NUL at the end": {named(org(utf8), common(utf8, cn+"\x00")), invalidClient},
		"NUL within":     {named(org(utf8), common(utf8, cn+"\x00.evil")), invalidClient},
		"escaped twice":  {named(org(utf8), common(utf8, p.id+`\,x`)), invalidClient},
		"split":          {func(c *certtest.Template) { c.Subject = "CN=" + p.id + ",O=x" }, invalidClient},
		"no name":        {func(c *certtest.Template) { c.RawSubject = []byte{0x30, 0} }, invalidClient},
	} {
		if got := showing(t, p, house.clientCA, c.change); got.String() != c.answer {
			t.Errorf("%s: %s, want %s", what, got, c.answer)
		}
	}
	alternativeNames(t)
}

func alternativeNames(t *testing.T) {
	t.Helper()
	p := who(t, special(47, "dns"))
	const host = "api.tpp.localhost" // what the root allows
	for what, c := range map[string]struct {
		change func(*certtest.Template)
		answer string
	}{
		"as registered": {func(c *certtest.Template) { c.DNS = []string{host} }, "200"},
		"among others":  {func(c *certtest.Template) { c.DNS = []string{"other.localhost", "API.tpp.LOCALHOST"} }, "200"},
		"wildcard":      {func(c *certtest.Template) { c.DNS = []string{"*.tpp.localhost"} }, invalidClient},
		"common name":   {func(c *certtest.Template) { c.Subject = "CN=" + host }, invalidClient},
		"as e-mail":     {func(c *certtest.Template) { c.Emails = []string{host} }, invalidClient},
		"as URI":        {func(c *certtest.Template) { c.URIs = []string{"https://" + host} }, invalidClient},
		"below":         {func(c *certtest.Template) { c.DNS = []string{"x." + host} }, invalidClient},
		"dot at end":    {func(c *certtest.Template) { c.DNS = []string{host + "."} }, invalidClient},
		"none":          {func(*certtest.Template) {}, invalidClient},
	} {
		if got := showing(t, p, house.clientCA, c.change); got.String() != c.answer {
			t.Errorf("san_dns, %s: %s, want %s", what, got, c.answer)
		}
	}
}

// rawName is a Name of these parts in this order.
func rawName(t testing.TB, parts ...pkix.AttributeTypeAndValue) []byte {
	t.Helper()
	var name pkix.RDNSequence
	for _, part := range parts {
		name = append(name, pkix.RelativeDistinguishedNameSET{part})
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// attribute is one of X.520's, as a string of the ASN.1 type.
func attribute(which, tag int, value []byte) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, which}, Value: asn1.RawValue{Tag: tag, Bytes: value}}
}

// bmp is text in two bytes a letter.
func bmp(text string) []byte {
	var b []byte
	for _, c := range text {
		b = append(b, byte(c>>8), byte(c))
	}
	return b
}

func TestAttack48CertificateHeaders(t *testing.T) {
	a := attack(t, 48, "headers that name a certificate are ignored on both listeners: 401 invalid_client")
	p := who(t, special(48, "mtls"))
	leavesNothing(t, p)
	der := p.leaf.Cert.Raw
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	body := url.Values{"grant_type": {"client_credentials"}, "client_id": {p.id}}.Encode()
	for _, header := range []string{"Client-Cert", "X-SSL-Cert", "X-Forwarded-Client-Cert", "Ssl_client_cert", "SSL-Client-Cert", "X-Client-Cert", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert"} {
		for _, value := range []string{":" + base64.StdEncoding.EncodeToString(der) + ":", url.QueryEscape(block), "Cert=" + url.QueryEscape(block)} {
			for _, address := range []string{house.meta.Token, house.meta.Aliases.Token} {
				want(t, rawPostWith(t, house.front, address, body, header, value), invalidClient)
				want(t, rawPostWith(t, house.front, address, body, header, value, header, value), invalidClient)
			}
			want(t, rawPostWith(t, a.mallory.back, house.meta.Aliases.Token, body, header, value), invalidClient)
		}
	}
}

func TestAttack49Resumption(t *testing.T) {
	a := attack(t, 49, "a TLS session of one listener does not open another; a resumed one is judged anew")
	chain := a.victim.leaf.TLS()
	sessions := tls.NewLRUClientSessionCache(8) // by server name, which all listeners share
	conf := func(version uint16) *tls.Config {
		return &tls.Config{ClientSessionCache: sessions, ServerName: "localhost", MinVersion: version, MaxVersion: version}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		own := conf(version)
		own.Certificates = []tls.Certificate{chain}
		for first := true; ; first = false {
			conn := dialTLS(t, house.MTLSBase, own)
			if got := lineFrom(t, conn, "GET /userinfo HTTP/1.1\r\nHost: "+hostOf(t, house.MTLSBase)+"\r\n\r\n"); got != "HTTP/1.1 401 Unauthorized" {
				t.Errorf("%s", got)
			}
			if !first {
				if !conn.ConnectionState().DidResume {
					t.Errorf("%s: the session was not resumed at its own listener", tls.VersionName(version))
				}
				break
			}
		}
		for _, elsewhere := range []string{house.Issuer, house.ResourceBase} {
			if dialTLS(t, elsewhere, conf(version)).ConnectionState().DidResume {
				t.Errorf("%s: %s took the session of the mutual TLS listener", tls.VersionName(version), elsewhere)
			}
		}
	}
}

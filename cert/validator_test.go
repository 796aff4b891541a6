package cert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
)

type edit = func(*certtest.Template)

func TestNewRefusesZeroValues(t *testing.T) {
	ca := newCA(t)
	now := func() time.Time { return start }
	for name, try := range map[string]struct {
		cfg  cert.Config
		deps cert.Deps
	}{
		"no clock":      {cert.Config{Trust: cert.TrustSet{Name: "x", Anchors: []*x509.Certificate{ca.Root}}}, cert.Deps{}},
		"no name":       {cert.Config{Trust: trusting(ca)}, cert.Deps{Now: now}},
		"no anchors":    {cert.Config{Trust: cert.TrustSet{Name: "x"}}, cert.Deps{Now: now}},
		"negative skew": {cert.Config{Trust: cert.TrustSet{Name: "x", Anchors: []*x509.Certificate{ca.Root}}, Skew: -1}, cert.Deps{Now: now}},
		"huge skew":     {cert.Config{Trust: cert.TrustSet{Name: "x", Anchors: []*x509.Certificate{ca.Root}}, Skew: time.Hour}, cert.Deps{Now: now}},
	} {
		if _, err := cert.New(try.cfg, try.deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Attack 46, MT-03: every bad leaf under a good CA.
func TestCheckLeaf(t *testing.T) {
	ca := newCA(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		edit   edit
		reason string
	}{
		{"good", func(*certtest.Template) {}, ""},
		{"good RSA", func(c *certtest.Template) { c.RSA = true }, ""},
		{"good Ed25519", func(c *certtest.Template) { c.Key = ed }, ""},
		{"clientAuth beside serverAuth", func(c *certtest.Template) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}, ""},
		{"key usage absent", func(c *certtest.Template) { c.KeyUsage = 0 }, ""},
		{"expired", func(c *certtest.Template) { c.NotAfter = start.Add(-time.Second) }, cert.ReasonExpired},
		{"ends now", func(c *certtest.Template) { c.NotAfter = start }, ""},
		{"not yet valid", func(c *certtest.Template) { c.NotBefore = start.Add(31 * time.Second) }, cert.ReasonNotYetValid},
		{"begins within the skew", func(c *certtest.Template) { c.NotBefore = start.Add(30 * time.Second) }, ""},
		{"RSA 1024", func(c *certtest.Template) { c.Key = weak }, cert.ReasonWeakKey},
		{"P-224", func(c *certtest.Template) { c.Key = p224 }, cert.ReasonWeakKey},
		{"SHA-1 signature", func(c *certtest.Template) { c.Signature = x509.ECDSAWithSHA1 }, cert.ReasonWeakSignature},
		{"20 KiB", func(c *certtest.Template) {
			c.Extra = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, 20<<10)}}
		}, cert.ReasonMalformed},
		{"unknown critical extension", func(c *certtest.Template) {
			c.Extra = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, cert.ReasonChainInvalid},
		{"CA:TRUE", func(c *certtest.Template) { c.IsCA = true }, cert.ReasonKeyUsage},
		{"keyCertSign", func(c *certtest.Template) { c.KeyUsage |= x509.KeyUsageCertSign }, cert.ReasonKeyUsage},
		{"keyEncipherment only", func(c *certtest.Template) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, cert.ReasonKeyUsage},
		{"serverAuth only", func(c *certtest.Template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, cert.ReasonExtKeyUsage},
		{"any usage", func(c *certtest.Template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, cert.ReasonExtKeyUsage},
		{"no extended usage", func(c *certtest.Template) { c.ExtKeyUsage = nil }, cert.ReasonExtKeyUsage},
		{"OCSP signing only", func(c *certtest.Template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }, cert.ReasonExtKeyUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newValidator(t, &clock{start}, trusting(ca), 30*time.Second)
			leaf := issue(t, ca, tc.edit)
			wantReason(t, v.Check(context.Background(), leaf.Peer()), tc.reason)
			// The remembered verdict is the same.
			wantReason(t, v.Check(context.Background(), leaf.Peer()), tc.reason)
		})
	}
}

// The trust set may tolerate leaves without clientAuth; nothing else follows.
func TestCheckTolerates(t *testing.T) {
	ca := newCA(t)
	usage := func(u ...x509.ExtKeyUsage) edit { return func(c *certtest.Template) { c.ExtKeyUsage = u } }
	for _, tc := range []struct {
		name     string
		tolerate cert.EKUTolerance
		edit     edit
		reason   string
	}{
		{"serverAuth", cert.EKUTolerance{ServerAuth: true}, usage(x509.ExtKeyUsageServerAuth), ""},
		{"any", cert.EKUTolerance{Any: true}, usage(x509.ExtKeyUsageAny), ""},
		{"absent", cert.EKUTolerance{Absent: true}, usage(), ""},
		{"absent is not any", cert.EKUTolerance{Absent: true}, usage(x509.ExtKeyUsageAny), cert.ReasonExtKeyUsage},
		{"others still refused", cert.EKUTolerance{ServerAuth: true, Any: true, Absent: true}, usage(x509.ExtKeyUsageCodeSigning), cert.ReasonExtKeyUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := trusting(ca)
			set.Tolerate = tc.tolerate
			v := newValidator(t, &clock{start}, set, 0)
			wantReason(t, v.Check(context.Background(), issue(t, ca, tc.edit).Peer()), tc.reason)
		})
	}
}

// MT-03, RFC 5280 §6.1: what stands above the leaf.
func TestCheckPath(t *testing.T) {
	ca := newCA(t)
	below := func(name string, change func(*x509.Certificate)) *certtest.CA {
		sub, err := ca.IssueCA(name, change)
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	deep, err := ca.IssueBelow("too deep")
	if err != nil {
		t.Fatal(err)
	}
	stranger := newCA(t) // the same names, other keys
	leaf := func(from *certtest.CA) []*x509.Certificate { return issue(t, from).Chain() }

	for _, tc := range []struct {
		name   string
		chain  []*x509.Certificate
		reason string
	}{
		{"good", leaf(ca), ""},
		{"root sent too", append(leaf(ca), ca.Root), ""},
		{"noise between", append(leaf(ca)[:1:1], stranger.Root, stranger.Issuer, ca.Issuer), ""},
		{"issuer not sent", leaf(ca)[:1], cert.ReasonUntrusted},
		{"same names from another CA (attack 46)", leaf(stranger), cert.ReasonUntrusted},
		{"issuer is no CA", leaf(below("x", func(c *x509.Certificate) { c.IsCA = false })), cert.ReasonUntrusted},
		{"issuer without keyCertSign", leaf(below("x", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })), cert.ReasonUntrusted},
		{"issuer expired", leaf(below("x", func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) })), cert.ReasonChainInvalid},
		{"issuer not yet valid", leaf(below("x", func(c *x509.Certificate) { c.NotBefore = start.Add(time.Hour) })), cert.ReasonChainInvalid},
		{"issuer begins within the skew", leaf(below("x", func(c *x509.Certificate) { c.NotBefore = start.Add(20 * time.Second) })), ""},
		{"issuer restricted to serverAuth", leaf(below("x", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})), cert.ReasonExtKeyUsage},
		{"issuer restricted to clientAuth", leaf(below("x", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})), ""},
		{"path length exceeded", append(leaf(deep), ca.Issuer), cert.ReasonChainInvalid},
		{"unknown critical extension in the issuer", leaf(below("x", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})), cert.ReasonChainInvalid},
		{"leaf outside the issuer's names", issue(t, below("x", func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
		}), func(c *certtest.Template) { c.DNS = []string{"example.org"} }).Chain(), cert.ReasonChainInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newValidator(t, &clock{start}, trusting(ca), 30*time.Second)
			wantReason(t, v.Check(context.Background(), cert.NewPeer(tc.chain)), tc.reason)
		})
	}
}

func TestCheckWeakAnchor(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "weak"}, NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	good := issue(t, newCA(t))
	leafTpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, NotBefore: tpl.NotBefore, NotAfter: tpl.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leafTpl, root, good.Key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	v := newValidator(t, &clock{start}, cert.TrustSet{Anchors: []*x509.Certificate{root}}, 0)
	wantReason(t, v.Check(context.Background(), cert.NewPeer([]*x509.Certificate{leaf})), cert.ReasonWeakKey)
}

func TestCheckConfiguredIntermediates(t *testing.T) {
	ca := newCA(t)
	set := trusting(ca)
	set.Intermediates = []*x509.Certificate{ca.Issuer}
	v := newValidator(t, &clock{start}, set, 0)
	wantReason(t, v.Check(context.Background(), cert.NewPeer(issue(t, ca).Chain()[:1])), "")
}

// An anchor need not be self-signed: the path ends there, whatever is above it.
func TestCheckIssuingCAAsAnchor(t *testing.T) {
	ca := newCA(t)
	v := newValidator(t, &clock{start}, cert.TrustSet{Anchors: []*x509.Certificate{ca.Issuer}}, 0)
	wantReason(t, v.Check(context.Background(), issue(t, ca).Peer()), "")
	wantReason(t, v.Check(context.Background(), cert.NewPeer([]*x509.Certificate{ca.Issuer})), cert.ReasonKeyUsage)
}

func TestCheckMissingAndOldVersions(t *testing.T) {
	ca := newCA(t)
	v := newValidator(t, &clock{start}, trusting(ca), 0)
	wantReason(t, v.Check(context.Background(), nil), cert.ReasonMissing)
	wantReason(t, v.Check(context.Background(), cert.NewPeer(nil)), cert.ReasonMissing)
	old := *issue(t, ca).Cert
	old.Version = 1
	wantReason(t, v.Check(context.Background(), cert.NewPeer([]*x509.Certificate{&old})), cert.ReasonMalformed)
}

// A remembered verdict never outlives what it rests on, in either direction.
func TestVerdictEnds(t *testing.T) {
	ctx := context.Background()
	ca := newCA(t)
	leafEnds := issue(t, ca, func(c *certtest.Template) { c.NotAfter = start.Add(10 * time.Minute) }).Peer()
	short, err := ca.IssueCA("short", func(c *x509.Certificate) { c.NotAfter = start.Add(20 * time.Minute) })
	if err != nil {
		t.Fatal(err)
	}
	issuerEnds := issue(t, short).Peer()
	later := issue(t, ca, func(c *certtest.Template) { c.NotBefore = start.Add(10 * time.Second) }).Peer()

	c := &clock{start}
	v := newValidator(t, c, trusting(ca), 0)
	for _, step := range []struct {
		at     time.Duration
		peer   *cert.Peer
		reason string
	}{
		{0, leafEnds, ""},
		{0, issuerEnds, ""},
		{0, later, cert.ReasonNotYetValid},
		{10 * time.Second, later, ""},
		{0, later, cert.ReasonNotYetValid}, // the clock was set back
		{10*time.Minute + 999*time.Millisecond, leafEnds, ""},
		{10*time.Minute + time.Second, leafEnds, cert.ReasonExpired},
		{20 * time.Minute, issuerEnds, ""},
		{20*time.Minute + time.Second, issuerEnds, cert.ReasonChainInvalid},
	} {
		c.now = start.Add(step.at)
		wantReason(t, v.Check(ctx, step.peer), step.reason)
	}
}

// Strangers' certificates fill a store of their own.
func TestVerdictsAreBounded(t *testing.T) {
	ctx := context.Background()
	ca, stranger := newCA(t), newCA(t)
	v := newValidator(t, &clock{start}, trusting(ca), 0)
	good, bad := issue(t, ca).Peer(), issue(t, stranger)
	wantReason(t, v.Check(ctx, good), "")
	for i := range cert.MaxRefused + 100 {
		fake := *bad.Cert
		fake.Raw = append([]byte{byte(i), byte(i >> 8)}, fake.Raw...)
		wantReason(t, v.Check(ctx, cert.NewPeer([]*x509.Certificate{&fake})), cert.ReasonUntrusted)
	}
	if accepted, refused := v.Remembered(); accepted != 1 || refused != cert.MaxRefused {
		t.Errorf("remembered %d accepted and %d refused", accepted, refused)
	}
}

func TestCheckConcurrently(t *testing.T) {
	ca := newCA(t)
	v := newValidator(t, &clock{start}, trusting(ca), 0)
	good, bad := issue(t, ca).Peer(), issue(t, newCA(t)).Peer()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				wantReason(t, v.Check(context.Background(), good), "")
				wantReason(t, v.Check(context.Background(), bad), cert.ReasonUntrusted)
			}
		})
	}
	wg.Wait()
}

func BenchmarkCheckRemembered(b *testing.B) {
	ca, err := certtest.NewCA(certtest.Options{Name: "Bench", Now: start})
	if err != nil {
		b.Fatal(err)
	}
	leaf, err := ca.Issue(certtest.Client(start, "CN=x"))
	if err != nil {
		b.Fatal(err)
	}
	v, err := cert.New(cert.Config{Trust: cert.TrustSet{Name: "b", Anchors: []*x509.Certificate{ca.Root}}},
		cert.Deps{Now: func() time.Time { return start }})
	if err != nil {
		b.Fatal(err)
	}
	peer := leaf.Peer()
	for b.Loop() {
		if err := v.Check(context.Background(), peer); err != nil {
			b.Fatal(err)
		}
	}
}

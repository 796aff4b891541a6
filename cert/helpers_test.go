package cert_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
)

// start is the instant at which tests begin; their clocks move by hand.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newCA(t *testing.T, edit ...func(*certtest.Options)) *certtest.CA {
	t.Helper()
	o := certtest.Options{Name: "Test", Now: start}
	for _, e := range edit {
		e(&o)
	}
	ca, err := certtest.NewCA(o)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *certtest.CA, edit ...func(*certtest.Template)) *certtest.Leaf {
	t.Helper()
	tpl := certtest.Client(start, "CN=tpp-1,organizationIdentifier=PSDGB-FCA-123456,O=TPP Ltd,C=GB")
	for _, e := range edit {
		e(&tpl)
	}
	leaf, err := ca.Issue(tpl)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func newValidator(t *testing.T, c *clock, set cert.TrustSet, skew time.Duration) *cert.Validator {
	t.Helper()
	set.Name = "test"
	v, err := cert.New(cert.Config{Trust: set, Skew: skew}, cert.Deps{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func trusting(ca *certtest.CA) cert.TrustSet {
	return cert.TrustSet{Anchors: []*x509.Certificate{ca.Root}}
}

// wantReason compares the reason code of err; "" wants acceptance.
func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	var refusal *cert.Refusal
	switch {
	case err == nil && want == "":
	case err == nil:
		t.Errorf("accepted, want %s", want)
	case !errors.As(err, &refusal):
		t.Errorf("error %v is no refusal", err)
	case refusal.Reason != want:
		t.Errorf("refused with %v, want %q", err, want)
	}
}

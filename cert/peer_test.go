package cert_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/procura/procura/cert"
)

func TestPeerContext(t *testing.T) {
	if _, ok := cert.PeerFrom(context.Background()); ok {
		t.Error("a peer came from nowhere")
	}
	if _, ok := cert.PeerFrom(cert.WithPeer(context.Background(), nil)); ok {
		t.Error("nil counts as a peer")
	}
	want := issue(t, newCA(t)).Peer()
	if got, ok := cert.PeerFrom(cert.WithPeer(context.Background(), want)); !ok || got != want {
		t.Error("the peer did not come back")
	}
}

// MT-11: unpadded base64url of the SHA-256 of the leaf's DER.
func TestThumbprint(t *testing.T) {
	leaf := issue(t, newCA(t))
	sum := sha256.Sum256(leaf.Cert.Raw)
	if got, want := leaf.Peer().Thumbprint, base64.RawURLEncoding.EncodeToString(sum[:]); got != want {
		t.Errorf("thumbprint %s, want %s", got, want)
	}
}

// Two chains of the same bytes cut differently, or with other intermediates, have
// verdicts of their own.
func TestVerdictBelongsToTheChain(t *testing.T) {
	ctx := context.Background()
	ca := newCA(t)
	leaf := issue(t, ca)
	v := newValidator(t, &clock{start}, trusting(ca), 0)
	wantReason(t, v.Check(ctx, leaf.Peer()), "")
	wantReason(t, v.Check(ctx, cert.NewPeer(leaf.Chain()[:1])), cert.ReasonUntrusted)
	glued := *leaf.Cert
	glued.Raw = append(append([]byte{}, leaf.Cert.Raw...), ca.Issuer.Raw...)
	if err := v.Check(ctx, cert.NewPeer([]*x509.Certificate{&glued})); err == nil {
		t.Error("the verdict of another chain was used")
	}
}

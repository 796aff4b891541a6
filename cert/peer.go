package cert

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
)

// Peer is what the other side of a mutual TLS connection showed. That somebody
// holds the key is proven by the handshake; everything else is not yet asked.
type Peer struct {
	Leaf       *x509.Certificate
	Chain      []*x509.Certificate // as shown, leaf first
	Thumbprint string              // x5t#S256 of the leaf (RFC 8705 §3.1)

	digest [sha256.Size]byte // of the whole chain: intermediates count in a verdict
}

// NewPeer returns the peer that showed chain, leaf first; nil when it is empty.
func NewPeer(chain []*x509.Certificate) *Peer {
	if len(chain) == 0 {
		return nil
	}
	leaf := sha256.Sum256(chain[0].Raw)
	return &Peer{
		Leaf:       chain[0],
		Chain:      chain,
		Thumbprint: base64.RawURLEncoding.EncodeToString(leaf[:]),
		digest:     digestOf(chain),
	}
}

// digestOf writes each length before its certificate, so that no two chains
// share one digest.
func digestOf(chain []*x509.Certificate) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range chain {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(c.Raw)))
		h.Write(size[:])
		h.Write(c.Raw)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

type peerKey struct{}

// WithPeer returns a context that carries p; nil is the same as none.
func WithPeer(ctx context.Context, p *Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerFrom returns the peer of the connection that the request came over, and
// whether it showed a certificate at all.
func PeerFrom(ctx context.Context) (*Peer, bool) {
	p, _ := ctx.Value(peerKey{}).(*Peer)
	return p, p != nil
}

package clientauth_test

import (
	"context"
	"testing"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/wire"
)

func BenchmarkAssertion(b *testing.B) {
	r := newRig(b)
	req := asserted(r.sign(b, "es", "", r.claims(named)))
	req.Peer = r.peer(b, "CN="+named)
	for b.Loop() {
		if _, err := r.Authenticate(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCertificate(b *testing.B) {
	r := newRig(b)
	req := clientauth.Request{Params: wire.Params{"client_id": holder}, Peer: r.peer(b, "CN="+holder)}
	for b.Loop() {
		if _, err := r.Authenticate(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

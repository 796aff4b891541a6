package blackbox_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"sync/atomic"
	"testing"

	"crypto/rsa"
)

// trap is a port that the server must never connect to.
type trap struct {
	address string
	hits    atomic.Int64
	close   func()
}

func (r *rig) openTrap(context.Context) (err error) {
	r.trap, err = newTrap()
	return err
}

func newTrap() (*trap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &trap{address: l.Addr().String(), close: func() { _ = l.Close() }}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.hits.Add(1)
			_ = c.Close() // whoever came has been counted
		}
	}()
	return s, nil
}

// hs256 signs with a shared secret, which no client of FAPI has.
func hs256(secret []byte) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil), nil
	}
}

// serverJWK is one published key of the server as it stands in the JWKS.
func serverJWK(t testing.TB, kty, use string) map[string]string {
	t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(house.keys.JSON(), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k["kty"] == kty && k["use"] == use {
			return k
		}
	}
	t.Fatalf("the server has no %s key for %s", kty, use)
	return nil
}

// serverPublicPEM is the server's RSA key as a file that everybody may have: the
// secret of the RS256 to HS256 confusion.
func serverPublicPEM(t testing.TB) []byte {
	t.Helper()
	k := serverJWK(t, "RSA", "sig")
	n, err := base64.RawURLEncoding.DecodeString(k["n"])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

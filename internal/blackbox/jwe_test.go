package blackbox_test

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"
)

// sealing is a JWE that is made by hand, since the library makes no bad ones:
// ECDH-ES with A256GCM to the server's own key (RFC 7518 §4.6), with any header.
type sealing struct {
	header  map[string]any // beside alg, enc, kid and epk
	epk     map[string]any // instead of the true one
	deflate bool           // compress, as zip=DEF says
}

func (s sealing) seal(t testing.TB, plain []byte) string {
	t.Helper()
	server := serverJWK(t, "EC", "enc")
	public, err := ecdh.P256().NewPublicKey(append(append([]byte{4}, raw64(t, server["x"])...), raw64(t, server["y"])...))
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	z, err := private.ECDH(public)
	if err != nil {
		t.Fatal(err)
	}
	point := private.PublicKey().Bytes()
	header := map[string]any{"alg": "ECDH-ES", "enc": "A256GCM", "kid": server["kid"], "epk": map[string]any{"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}}
	if s.epk != nil {
		header["epk"] = s.epk
	}
	protected := part(t, with(header, s.header))
	if s.deflate {
		plain = deflated(t, plain)
	}
	iv := make([]byte, 12)
	_, _ = rand.Read(iv) // never fails
	aead := gcm(t, concatKDF(z, "A256GCM"))
	sealed := aead.Seal(nil, iv, plain, []byte(protected))
	text, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	return protected + ".." + part(t, iv) + "." + part(t, text) + "." + part(t, tag)
}

// concatKDF is RFC 7518 §4.6.2 for a key of 32 bytes without party infos.
func concatKDF(z []byte, enc string) []byte {
	h := sha256.New()
	h.Write([]byte{0, 0, 0, 1})
	h.Write(z)
	h.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(enc))), enc...))
	h.Write(make([]byte, 8)) // PartyUInfo and PartyVInfo are empty
	h.Write(binary.BigEndian.AppendUint32(nil, 256))
	return h.Sum(nil)
}

func gcm(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

func deflated(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func raw64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

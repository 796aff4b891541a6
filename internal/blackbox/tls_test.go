package blackbox_test

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"
	"time"
)

// TLS alerts with which a server may refuse a handshake (RFC 8446 §6.2).
const (
	alertHandshakeFailure = 40
	alertProtocolVersion  = 70
)

// allowedSuites are all that FAPI 1 Advanced §8.5 and RFC 10015 leave at TLS 1.2.
var allowedSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}

// forbiddenSuites returns suites of every kind that is not allowed: static RSA, DHE,
// CBC, ECDSA, ChaCha20, CCM, anonymous, NULL, RC4, 3DES, PSK.
func forbiddenSuites() []uint16 {
	return []uint16{
		0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d, 0x000a, 0x0005, 0x0004, 0x0002, 0x003b, 0xc09c, 0xc09d,
		0x009e, 0x009f, 0x0033, 0x0039, 0x0067, 0x006b, 0x0016, 0xccaa, 0xc09e, 0xc09f, 0x0032, 0x0038, 0x00a2,
		0xc013, 0xc014, 0xc027, 0xc028, 0xc012, 0xc011, 0xcca8, 0xc02b, 0xc02c, 0xc009, 0xc00a, 0xc023, 0xc024,
		0xcca9, 0xc0ac, 0xc0ad, 0x0018, 0x0034, 0x003a, 0xc018, 0xc019, 0x00a8, 0x00ae, 0xccab, 0x0084, 0x0088,
	}
}

// checkTLS probes the host of an address as the suite does, each time without a
// client certificate: a refusal must be one of two alerts, or a closed connection.
func checkTLS(t *testing.T, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: house.roots}}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	if v := conn.(*tls.Conn).ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("%s negotiates %s", u.Host, tls.VersionName(v))
	}
	_ = conn.Close() // nothing was sent
	for _, suite := range allowedSuites {
		if err := handshake(u.Host, tls.VersionTLS12, suite); err != nil {
			t.Errorf("%s refuses %s: %v", u.Host, tls.CipherSuiteName(suite), err)
		}
	}
	for _, suite := range forbiddenSuites() {
		refusesTLS(t, u.Host, tls.VersionTLS12, suite)
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, 0x0300} {
		refusesTLS(t, u.Host, version, append([]uint16{0xc013, 0xc014, 0x002f, 0x0035}, allowedSuites...)...)
	}
}

func refusesTLS(t *testing.T, host string, version uint16, suites ...uint16) {
	t.Helper()
	err := handshake(host, version, suites...)
	var alert alertError
	switch {
	case errors.As(err, &alert) && (alert == alertHandshakeFailure || alert == alertProtocolVersion):
	case errors.Is(err, io.EOF):
	default:
		t.Errorf("%s answers version %#04x with suites %#04x: %v", host, version, suites, err)
	}
}

// alertError is the alert with which the server ended a handshake.
type alertError byte

// Error implements error.
func (a alertError) Error() string { return fmt.Sprintf("alert %d", byte(a)) }

// handshake sends one ClientHello by hand, since the standard library does not speak
// what is to be refused. It returns nil when the server says hello.
func handshake(host string, version uint16, suites ...uint16) error {
	conn, err := net.DialTimeout("tcp", host, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(clientHello(version, suites)); err != nil {
		return err
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	switch {
	case head[0] == 21 && len(body) == 2:
		return alertError(body[1])
	case head[0] == 22 && len(body) > 0 && body[0] == 2:
		return nil
	}
	return fmt.Errorf("record type %d", head[0])
}

// clientHello is RFC 5246 §7.4.1.2 with server name, groups, point formats and
// signature algorithms.
func clientHello(version uint16, suites []uint16) []byte {
	u16 := func(values ...uint16) []byte {
		var out []byte
		for _, v := range values {
			out = binary.BigEndian.AppendUint16(out, v)
		}
		return out
	}
	sized := func(b []byte) []byte { return append(u16(uint16(len(b))), b...) }
	extension := func(kind uint16, b []byte) []byte { return append(u16(kind), sized(b)...) }
	name := []byte("localhost")
	var extensions []byte
	extensions = append(extensions, extension(0, sized(append([]byte{0}, sized(name)...)))...)
	extensions = append(extensions, extension(10, sized(u16(29, 23, 24)))...)
	extensions = append(extensions, extension(11, []byte{1, 0})...)
	extensions = append(extensions, extension(13, sized(u16(0x0403, 0x0804, 0x0401, 0x0805, 0x0501, 0x0201)))...)

	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	hello := append(u16(version), random...)
	hello = append(hello, 0) // no session
	hello = append(hello, sized(u16(suites...))...)
	hello = append(hello, 1, 0) // no compression
	hello = append(hello, sized(extensions)...)
	message := append([]byte{1, 0}, sized(hello)...)
	return append([]byte{22, 3, 1}, sized(message)...)
}

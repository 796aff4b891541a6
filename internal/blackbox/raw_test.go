package blackbox_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// lineFrom writes bytes to a connection and returns the first line of the answer,
// or "" when the connection was closed instead.
func lineFrom(t testing.TB, conn net.Conn, raw string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		return ""
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil && line == "" {
		return ""
	}
	return strings.TrimSpace(line)
}

// allFrom writes bytes to a connection and returns the first line of the answer,
// and whether there was a second answer.
func allFrom(t testing.TB, conn net.Conn, raw string) (first string, more bool) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, raw) }() // the server may stop reading in the middle
	got, _ := io.ReadAll(conn)                       // up to the deadline, if it stays open
	first, rest, _ := strings.Cut(string(got), "\r\n")
	return first, strings.Contains(rest, "HTTP/1.1 ")
}

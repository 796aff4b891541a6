package web

import (
	"net/netip"
	"strconv"
	"strings"
)

// canonicalHost brings a Host header or the authority of a configured URL into
// the one form by which sites are found: lower case, the port left out when it is
// 443. It refuses what no honest client sends: user information, a trailing dot,
// escapes, names with characters outside of LDH and '_', empty labels.
func canonicalHost(raw string) (string, bool) {
	if raw == "" || len(raw) > 262 {
		return "", false
	}
	name, port := raw, ""
	if i := strings.LastIndexByte(raw, ':'); i >= 0 && !strings.HasSuffix(raw, "]") {
		name, port = raw[:i], raw[i+1:]
		if !validPort(port) {
			return "", false
		}
	}
	name, ok := canonicalName(name)
	if !ok {
		return "", false
	}
	if port == "" || port == "443" {
		return name, true
	}
	return name + ":" + port, true
}

func canonicalName(name string) (string, bool) {
	if v6, ok := strings.CutPrefix(name, "["); ok {
		v6, ok = strings.CutSuffix(v6, "]")
		addr, err := netip.ParseAddr(v6)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		return "[" + addr.String() + "]", true
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.ContainsFunc(label, notInLabel) {
			return "", false
		}
	}
	return strings.ToLower(name), true
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// validPort accepts a port in plain decimal without leading zeros, so that every
// port has one spelling.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

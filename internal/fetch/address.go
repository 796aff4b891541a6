package fetch

import (
	"net/netip"
	"strings"
)

// Public reports whether ip belongs to a host on the open Internet: by the special
// purpose registries of RFC 6890, and never by the form in which it is written. In
// IPv6 only the allocated unicast space counts.
func Public(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	if ip.Is4() {
		return !within(ip, special4())
	}
	return netip.MustParsePrefix("2000::/3").Contains(ip) && !within(ip, special6())
}

// oddAddress reports whether a host is no IP address as RFC 3986 §3.2.2 writes one,
// but would be taken for one by resolvers of the old school: 127.1, 2130706433,
// 0x7f000001 (attack 66). No top-level domain begins with a digit.
func oddAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := labels[len(labels)-1]
	return last != "" && last[0] >= '0' && last[0] <= '9'
}

func within(ip netip.Addr, ranges []string) bool {
	for _, text := range ranges {
		if netip.MustParsePrefix(text).Contains(ip) {
			return true
		}
	}
	return false
}

// special4 lists what IsGlobalUnicast and IsPrivate leave in.
func special4() []string {
	return []string{
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // carrier grade NAT
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relay
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"240.0.0.0/4",     // reserved, broadcast
	}
}

// special6 lists what lies within 2000::/3; the forms that carry an IPv4 address
// are refused whole.
func special6() []string {
	return []string{
		"2001::/23",     // protocol assignments, Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	}
}

package web

// CanonicalHost lets tests reach the one parser of hosts.
var CanonicalHost = canonicalHost

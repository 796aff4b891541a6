// Package blackbox holds no code: its tests start a whole sandbox and then talk to
// it over the wire alone, as clients, customers and attackers do. Each module of
// the conformance suite's FAPI 1 Advanced plans and each entry of the attack
// catalogue is a test of its own; docs/conformance.md is what they found. The
// database is looked into for one purpose: to see that a refused attack stored
// and issued nothing.
package blackbox

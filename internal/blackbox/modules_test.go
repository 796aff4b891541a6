package blackbox_test

import (
	"slices"
	"testing"
)

// prefix begins the suite's names of the modules.
const prefix = "fapi1-advanced-final"

// module is one row of what the suite demands: a module of its plan, or a block of
// requirements that every module checks. Must is our exact answer, in words.
type module struct {
	name string
	must string
	in   func(plan) bool // the plans where it applies; nil: all
	run  func(*testing.T, plan)
}

// modules are all rows, in the order of the table.
func modules() []module {
	return slices.Concat(commonModules(), requestModules(), objectModules(), frontModules(), tokenModules(),
		assertionModules(), pushModules())
}

func pushed(p plan) bool      { return p.pushed }
func byValue(p plan) bool     { return !p.pushed }
func plain(p plan) bool       { return !p.jarm }
func jarm(p plan) bool        { return p.jarm }
func assertions(p plan) bool  { return !p.mtls }
func pushedByJWT(p plan) bool { return p.pushed && !p.mtls }

// TestFAPI1Advanced takes every module through every plan where it applies.
func TestFAPI1Advanced(t *testing.T) {
	for _, p := range plans() {
		t.Run(p.name(), func(t *testing.T) {
			t.Parallel()
			for _, m := range modules() {
				if m.in != nil && !m.in(p) {
					continue
				}
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					findings.watch(t, m.name, m.must, p.name())
					m.run(t, p)
				})
			}
		})
	}
}

package consent

import "slices"

// permissions are those of account access (UK Open Banking 3.1 and 4.0); what
// they mean in the customer's words is the pages' matter.
var permissions = []string{
	"ReadAccountsBasic", "ReadAccountsDetail",
	"ReadBalances",
	"ReadBeneficiariesBasic", "ReadBeneficiariesDetail",
	"ReadDirectDebits",
	"ReadOffers",
	"ReadPAN",
	"ReadParty", "ReadPartyPSU",
	"ReadProducts",
	"ReadScheduledPaymentsBasic", "ReadScheduledPaymentsDetail",
	"ReadStandingOrdersBasic", "ReadStandingOrdersDetail",
	"ReadStatementsBasic", "ReadStatementsDetail",
	"ReadTransactionsBasic", "ReadTransactionsCredits", "ReadTransactionsDebits", "ReadTransactionsDetail",
}

// permissionRule is one thing that a set of permissions must satisfy.
type permissionRule struct {
	broken  func(asked []string) bool
	message string
}

// permissionRules are those of the API's table of permissions, in order.
// Repeated and redundant permissions do no harm.
var permissionRules = []permissionRule{
	{func(asked []string) bool { return len(asked) == 0 },
		"at least one permission is needed"},
	{func(asked []string) bool { return slices.ContainsFunc(asked, unknown) },
		"a permission is not known"},
	{func(asked []string) bool { return !hasAny(asked, "ReadAccountsBasic", "ReadAccountsDetail") },
		"ReadAccountsBasic or ReadAccountsDetail is needed"},
	{func(asked []string) bool { return hasAny(asked, transactions...) && !hasAny(asked, directions...) },
		"ReadTransactionsBasic and ReadTransactionsDetail need ReadTransactionsCredits or ReadTransactionsDebits"},
	{func(asked []string) bool { return hasAny(asked, directions...) && !hasAny(asked, transactions...) },
		"ReadTransactionsCredits and ReadTransactionsDebits need ReadTransactionsBasic or ReadTransactionsDetail"},
}

var (
	transactions = []string{"ReadTransactionsBasic", "ReadTransactionsDetail"}
	directions   = []string{"ReadTransactionsCredits", "ReadTransactionsDebits"}
)

func unknown(p string) bool { return !slices.Contains(permissions, p) }

func hasAny(asked []string, wanted ...string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(asked, w) })
}

// checkPermissions refuses a set that is empty, holds what is not known, or
// opens nothing.
func checkPermissions(asked []string) error {
	for _, rule := range permissionRules {
		if rule.broken(asked) {
			return refused(invalidField, rule.message, "Data.Permissions")
		}
	}
	return nil
}

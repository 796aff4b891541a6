package bankapi

import "time"

// version is how one version of the API names things.
type version struct {
	prefix            string
	iso               bool // ISO 20022 codes in place of words, since 4.0
	booked, available string
}

func versions() []version {
	return []version{
		{"/open-banking/v3.1/aisp", false, "InterimBooked", "InterimAvailable"},
		{"/open-banking/v4.0/aisp", true, "ITBD", "ITAV"},
	}
}

// document is the frame of every answer.
type document struct {
	Data  any   `json:"Data"`
	Links links `json:"Links"`
	Meta  meta  `json:"Meta"`
}

type links struct {
	Self string `json:"Self"`
}

type meta struct {
	TotalPages int `json:"TotalPages"`
}

type accountData struct {
	Account []account `json:"Account"`
}

// account is OBReadAccount6; the first pair of type members is v3.1's, the second
// v4.0's.
type account struct {
	ID       string       `json:"AccountId"`
	Currency string       `json:"Currency"`
	Type     string       `json:"AccountType,omitempty"`
	SubType  string       `json:"AccountSubType,omitempty"`
	Category string       `json:"AccountCategory,omitempty"`
	TypeCode string       `json:"AccountTypeCode,omitempty"`
	Nickname string       `json:"Nickname,omitempty"`
	Names    []identifier `json:"Account,omitempty"` // with ReadAccountsDetail alone
}

type identifier struct {
	Scheme string `json:"SchemeName"`
	Number string `json:"Identification"`
	Name   string `json:"Name"`
}

type balanceData struct {
	Balance []balance `json:"Balance"`
}

// balance is OBReadBalance1.
type balance struct {
	Account   string `json:"AccountId"`
	Amount    amount `json:"Amount"`
	Indicator string `json:"CreditDebitIndicator"`
	Type      string `json:"Type"`
	At        string `json:"DateTime"`
}

type amount struct {
	Amount   string `json:"Amount"`
	Currency string `json:"Currency"`
}

// personal is the only category of the demo bank.
const personal = "Personal"

func (v *version) account(a Account, owner string, detail bool) account {
	out := account{ID: a.ID, Currency: a.Currency, Nickname: a.Nickname}
	if v.iso {
		out.Category, out.TypeCode = personal, a.Kind.iso()
	} else {
		out.Type, out.SubType = personal, string(a.Kind)
	}
	if detail {
		out.Names = []identifier{{"UK.OBIE.SortCodeAccountNumber", a.SortCode + a.Number, owner}}
	}
	return out
}

func (v *version) balances(a Account, now time.Time) []balance {
	at := now.UTC().Format(time.RFC3339)
	one := func(minor int64, kind string) balance {
		return balance{a.ID, amount{decimal(minor), a.Currency}, indicator(minor), kind, at}
	}
	return []balance{one(a.Booked, v.booked), one(a.available(), v.available)}
}

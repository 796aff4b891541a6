package storage_test

import (
	"testing"

	"github.com/procura/procura/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

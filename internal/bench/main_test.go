package bench

import (
	"testing"

	"github.com/fleetfold/fleetfold/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

package core_test

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// The reference host conforms.
func TestConformance(t *testing.T) {
	coretest.Run(t, func(tb testing.TB, s coretest.Setup) coretest.Cluster { return coretest.NewWorld(tb, s, 1) })
}

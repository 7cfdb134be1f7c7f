package core

import (
	"testing"
	"unsafe"
)

// The layout decides the speed of the simulator: cache misses rule it.
func TestLayout(t *testing.T) {
	if s := unsafe.Sizeof(Node{}); s != 64 {
		t.Errorf("Node is %d bytes, want 64", s)
	}
	var k Task
	if s := unsafe.Sizeof(k); s != 128 {
		t.Errorf("Task is %d bytes, want 128", s)
	}
	if o := unsafe.Offsetof(k.Timing); o != 64 {
		t.Errorf("the first line of Task is %d bytes, want 64", o)
	}
}

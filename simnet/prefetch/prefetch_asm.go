//go:build amd64 || arm64

package prefetch

import "unsafe"

// Line asks for the 64 bytes at p, which may be any address, nil too.
//
//go:noescape
func Line(p unsafe.Pointer)

// Lines asks for the 128 bytes at p.
//
//go:noescape
func Lines(p unsafe.Pointer)

// Package image packs the running program into container images: one layer, the static program at /p2pfaas, on nothing.
//
// A Program is the program for one platform: the running one itself, or one built from the same sources with the go command
// (program.go). Write puts the images of a program into a tar that `docker load` takes, Layout those of several platforms
// into a directory that registry tools push (image.go). The same program gives the same bytes.
package image

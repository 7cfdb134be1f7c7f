package problem

import (
	"math"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// MountainCar is a car in a valley, too weak to drive up the slope to its goal: it must first back away. Actions 0, 1
// and 2 are full throttle reverse, none, and full throttle forward; each brings -1 until the car is at the goal. The
// state is its position and its velocity. It begins at rest, somewhere near the bottom.
//
// Source: Sutton and Barto 2018, example 10.1.
type MountainCar struct {
	x, v float64
}

const (
	carLeft, carGoal = -1.2, 0.5
	carSpeed         = 0.07
)

func (p *MountainCar) Name() string      { return "mountain car" }
func (p *MountainCar) Actions() int      { return 3 }
func (p *MountainCar) Dim() int          { return 2 }
func (p *MountainCar) State(s []float64) { s[0], s[1] = p.x, p.v }
func (p *MountainCar) Validate() error   { return nil }

func (p *MountainCar) Range(d int) (lo, hi float64) {
	if d == 0 {
		return carLeft, carGoal
	}
	return -carSpeed, carSpeed
}

// Reset draws the position from [-0.6, -0.4).
func (p *MountainCar) Reset(r *rand.Rand) { p.x, p.v = -0.6+float64(0.2*random.Unit(r)), 0 }

func (p *MountainCar) Step(a int, _ *rand.Rand) (reward, dt float64, ended bool) {
	slope := random.Sin2Pi(float64(3*p.x)/(2*math.Pi) + 0.25) // cos 3x
	p.v += float64(0.001*float64(a-1)) - float64(0.0025*slope)
	p.v = min(carSpeed, max(-carSpeed, p.v))
	p.x += p.v
	if p.x < carLeft { // an inelastic wall
		p.x, p.v = carLeft, 0
	}
	return -1, 1, p.x >= carGoal
}

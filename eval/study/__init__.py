"""How well open-loop measures predict closed loop."""

"""How steady, how true and how seamless a restored film is: figures from pictures, numpy and OpenCV only."""

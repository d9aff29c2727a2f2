"""The wiring of the evaluation by what it needs: answers and a referee, a judge, labels, the policies along RL."""

# CPU:  docker build -t sleepfm .
# GPU:  docker build -t sleepfm:gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .   (run with --gpus all)
#
# The app has no sign-in yet and listens on 127.0.0.1 only: run it with the host's network,
#   docker run --network host -v sleepfm-home:/home/sleepfm/data -v /data/psg:/data/psg:ro sleepfm
FROM python:3.11-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
RUN python -m venv /opt/sleepfm
ENV PATH=/opt/sleepfm/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)" \
 && pip install --no-cache-dir -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
# LightGBM, which YASA's classifiers run on, needs the OpenMP library
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 sleepfm && install -d -o sleepfm /home/sleepfm/data
COPY --from=build /opt/sleepfm /opt/sleepfm
ENV PATH=/opt/sleepfm/bin:$PATH SLEEPFM_HOME=/home/sleepfm/data
USER sleepfm
WORKDIR /home/sleepfm
VOLUME /home/sleepfm/data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["sleepfm", "app", "--demo-when-empty"]

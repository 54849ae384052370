// The module fastconv._core: one register function per op, and what the package asks of the machine.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "common/isa.h"
#include "common/parallel.h"

namespace fastconv::bind {

namespace py = pybind11;

void register_conv2d(py::module_& m);
void register_leaky_relu(py::module_& m);
void register_activation(py::module_& m);
void register_batchnorm(py::module_& m);
void register_layout(py::module_& m);
void register_depthwise_conv2d(py::module_& m);
void register_pool2d(py::module_& m);
void register_softmax_xent(py::module_& m);
void register_loss(py::module_& m);
void register_metrics(py::module_& m);
void register_dropout(py::module_& m);
void register_elementwise(py::module_& m);
void register_binary(py::module_& m);
void register_sum(py::module_& m);
void register_copy_columns(py::module_& m);
void register_random_window(py::module_& m);
void register_optimizer(py::module_& m);
void register_probe(py::module_& m);

}  // namespace fastconv::bind

PYBIND11_MODULE(_core, m) {
  using namespace fastconv;
  m.doc() = "CPU kernels of fastconv. Arrays are C-contiguous float32 unless said otherwise; see docs/kernels.md.";
  m.attr("__version__") = FASTCONV_VERSION;
  isa_name();  // a FASTCONV_ISA that this processor lacks fails here, at import
  m.def("isa", &isa_name);
  m.def("set_isa", &set_isa, pybind11::arg("name"));
  m.def("supported_isas", &supported_isas);
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, pybind11::arg("threads"));
  bind::register_conv2d(m);
  bind::register_leaky_relu(m);
  bind::register_activation(m);
  bind::register_batchnorm(m);
  bind::register_layout(m);
  bind::register_depthwise_conv2d(m);
  bind::register_pool2d(m);
  bind::register_softmax_xent(m);
  bind::register_loss(m);
  bind::register_metrics(m);
  bind::register_dropout(m);
  bind::register_elementwise(m);
  bind::register_binary(m);
  bind::register_sum(m);
  bind::register_copy_columns(m);
  bind::register_random_window(m);
  bind::register_optimizer(m);
  bind::register_probe(m);
}
